"""The archive of a backup: a tar, of which the last part is the manifest with the checksums of the others.

An archive appears under its name only when it is whole and on the disk; beside it is its checksum for `sha256sum -c`.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from pyrage.x25519 import Identity, Recipient

from deploy.backup.errors import BackupError
from deploy.backup.streams import BLOCK, HashingReader, HashingWriter, Readable, decrypted, encrypted

FORMAT = 1
MANIFEST = "manifest.json"
# What an archive may have, so that none writes elsewhere. A picture's name is its key.
PARTS = ("database", "redis", "settings")
PICTURE = re.compile(r"media/[0-9a-f]{2}/[0-9a-f]{32}\.jpg")
SUM_SUFFIX = ".sha256"
PARTIAL_SUFFIX = ".partial"


@dataclass
class Part:
    """Size in bytes and SHA-256 of one part."""

    size: int
    sha256: str


@dataclass
class Pictures:
    """How many pictures, their size in bytes, and one SHA-256 over all their names and contents."""

    count: int = 0
    size: int = 0
    sha256: str = ""


@dataclass
class Manifest:
    """What an archive has, and what it was made of."""

    made_at: str
    version: str
    revision: str
    database: str
    schema: list[str]
    key_check: str
    has_sessions: bool
    has_secrets: bool
    format: int = FORMAT
    parts: dict[str, Part] = field(default_factory=dict)
    media: Pictures = field(default_factory=Pictures)

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Return the manifest of a JSON text. Raises BackupError."""
        try:
            found = json.loads(text)
            if found["format"] != FORMAT:
                raise BackupError(f"the archive has format {found['format']}; a newer release of Swiper reads it")
            parts = {name: Part(**part) for name, part in found.pop("parts").items()}
            return cls(**found | {"parts": parts, "media": Pictures(**found["media"])})
        except (ValueError, TypeError, KeyError) as error:
            raise BackupError("the archive's manifest cannot be read") from error


class _PictureDigest:
    def __init__(self) -> None:
        self.found = Pictures()
        self._digest = hashlib.sha256()

    def add(self, name: str, content: HashingReader) -> None:
        self._digest.update(f"{name} {content.digest.hexdigest()}\n".encode())
        self.found = Pictures(self.found.count + 1, self.found.size + content.count, self._digest.hexdigest())


class Writer:
    """Adds parts to an archive; a context manager. `finish` writes the last part."""

    def __init__(self, stream: BinaryIO) -> None:
        self._tar = tarfile.open(fileobj=stream, mode="w|", bufsize=BLOCK)  # noqa: SIM115 - `__exit__` closes it
        self._parts: dict[str, Part] = {}
        self._pictures = _PictureDigest()

    def add(self, name: str, path: Path) -> None:
        """Add a file as the part `name`. Raises OSError."""
        with path.open("rb") as file:
            content = self._add(name, file)
        self._parts[name] = Part(content.count, content.digest.hexdigest())

    def add_picture(self, key: str, path: Path) -> bool:
        """Add the file of an upload. Return False if it is gone. Raises OSError."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return False
        with file:
            self._pictures.add(f"media/{key}", self._add(f"media/{key}", file))
        return True

    def finish(self, manifest: Manifest) -> Manifest:
        """Write the manifest, with what was added, as the last part. Raises OSError."""
        manifest.parts, manifest.media = self._parts, self._pictures.found
        text = json.dumps(asdict(manifest), indent=1).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode = len(text), 0o600
        self._tar.addfile(info, io.BytesIO(text))
        return manifest

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After an error as well: otherwise it would write its last blocks when it is collected.
        with contextlib.suppress(OSError) if error else contextlib.nullcontext():
            self._tar.close()

    def _add(self, name: str, file: BinaryIO) -> HashingReader:
        state, content = os.fstat(file.fileno()), HashingReader(file)
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = state.st_size, 0o600, int(state.st_mtime)
        self._tar.addfile(info, cast(BinaryIO, content))
        return content


@contextmanager
def new_archive(path: Path, recipients: list[Recipient]) -> Iterator[Writer]:
    """Yield the writer of an archive that gets its name, and its checksum beside it, when all is done.

    Nothing is left after an error. Raises OSError.
    """
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb", buffering=BLOCK) as file:
            target = HashingWriter(file)
            with encrypted(target, recipients) as stream, Writer(stream) as writer:
                yield writer
            file.flush()
            os.fsync(file.fileno())
        _write_sum(path, target.digest.hexdigest())
        os.replace(partial, path)
        _sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _write_sum(path: Path, digest: str) -> None:
    with sum_of(path).open("w") as file:
        file.write(f"{digest}  {path.name}\n")
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sum_of(path: Path) -> Path:
    """Return the path of an archive's checksum."""
    return path.with_name(path.name + SUM_SUFFIX)


def is_intact(path: Path) -> bool:
    """Read a whole archive as it is on the disk, and return True if its checksum is right. Needs no key."""
    try:
        words = sum_of(path).read_text(encoding="ascii").split()
        with path.open("rb") as file:
            return words[:1] == [hashlib.file_digest(file, "sha256").hexdigest()]
    except (OSError, UnicodeDecodeError):
        return False


def read_archive(path: Path, identities: list[Identity], target: Path | None = None) -> Manifest:
    """Read a whole archive, check each part by the manifest, and return that.

    The parts are written below the folder `target` if there is one. Raises BackupError for an archive that is damaged,
    incomplete, of another kind, or that no key opens; and OSError.
    """
    with decrypted(path, identities) as stream:
        try:
            return _read(stream, target)
        except (tarfile.TarError, EOFError) as error:
            raise BackupError(f"{path} is damaged, incomplete, or no backup: {error}") from error


def _read(stream: Readable, target: Path | None) -> Manifest:
    parts: dict[str, Part] = {}
    pictures, manifest = _PictureDigest(), None
    with tarfile.open(fileobj=cast(BinaryIO, stream), mode="r|", bufsize=BLOCK) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            if file is None or manifest is not None:
                raise BackupError(f"the archive has what no backup has: {member.name!r}")
            content = HashingReader(cast(BinaryIO, file))
            if member.name == MANIFEST:
                manifest = Manifest.read(content.read())
            elif PICTURE.fullmatch(member.name):
                _store(content, target, member.name)
                pictures.add(member.name, content)
            elif member.name in PARTS and member.name not in parts:
                _store(content, target, member.name)
                parts[member.name] = Part(content.count, content.digest.hexdigest())
            else:
                raise BackupError(f"the archive has what no backup has: {member.name!r}")
    while stream.read(BLOCK):
        # To the end, where the last of an encrypted archive is authenticated.
        continue
    if manifest is None:
        raise BackupError("the archive is incomplete: it has no manifest")
    if parts != manifest.parts or pictures.found != manifest.media:
        raise BackupError("the archive is damaged: its parts are not those of its manifest")
    return manifest


def _store(content: HashingReader, target: Path | None, name: str) -> None:
    if target is None:
        while content.read(BLOCK):
            continue
        return
    path = target / name
    # nginx reads the folders of pictures.
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        while block := content.read(BLOCK):
            file.write(block)
