"""Streams of archives: encrypted and decrypted as they flow, so that no archive has to fit into memory."""

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import pyrage
from pyrage.x25519 import Identity, Recipient

from deploy.backup.errors import BackupError

AGE = b"age-encryption.org/v1\n"
BLOCK = 256 * 1024


class Readable(Protocol):
    """What can be read."""

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes."""


class HashingReader:
    """Reads a stream and digests what was read."""

    def __init__(self, stream: Readable) -> None:
        self.stream = stream
        self.digest = hashlib.sha256()
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes."""
        data = self.stream.read(size)
        self.digest.update(data)
        self.count += len(data)
        return data


class HashingWriter:
    """Writes to a stream and digests what was written."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.digest = hashlib.sha256()
        # What has failed here. The library that encrypts makes another error of it.
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of `data`. Raises OSError."""
        self.digest.update(data)
        try:
            return self.stream.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Write what is buffered. Raises OSError."""
        try:
            self.stream.flush()
        except OSError as error:
            self.error = error
            raise


@contextmanager
def encrypted(target: HashingWriter, recipients: list[Recipient]) -> Iterator[BinaryIO]:
    """Yield a stream to write to; what is written arrives at `target`, encrypted if there are recipients.

    Raises OSError if `target` does.
    """
    if not recipients:
        yield cast(BinaryIO, target)
        return
    inlet, outlet = os.pipe()
    failures: list[Exception] = []

    def encrypt() -> None:
        with os.fdopen(inlet, "rb", buffering=0) as plain:
            _noting(failures, lambda: pyrage.encrypt_io(plain, target, recipients))

    thread = threading.Thread(target=encrypt)
    thread.start()
    try:
        with os.fdopen(outlet, "wb", buffering=BLOCK) as stream:
            yield stream
    except BrokenPipeError:
        thread.join()
        if not failures:
            raise
    finally:
        thread.join()
    if failures:
        raise target.error or failures[0]


@contextmanager
def decrypted(path: Path, identities: list[Identity]) -> Iterator[Readable]:
    """Yield a stream of the plain archive at `path`. At its end all of it has been authenticated, if it is encrypted.

    Raises BackupError for an archive that cannot be read, that no key opens, or that is damaged.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}") from error
    with file:
        is_encrypted = file.read(len(AGE)) == AGE
        file.seek(0)
        if not is_encrypted:
            yield file
            return
        if not identities:
            raise BackupError(f"{path} is encrypted; name the file of its key (--key)")
        with _decrypting(path, file, identities) as stream:
            yield stream


@contextmanager
def _decrypting(path: Path, file: BinaryIO, identities: list[Identity]) -> Iterator[BinaryIO]:
    inlet, outlet = os.pipe()
    failures: list[Exception] = []

    def decrypt() -> None:
        # A failure is noted before the pipe ends, so a reader who sees its end knows of it.
        with contextlib.suppress(BrokenPipeError), os.fdopen(outlet, "wb", buffering=BLOCK) as plain:
            _noting(failures, lambda: pyrage.decrypt_io(file, plain, identities))

    thread = threading.Thread(target=decrypt)
    thread.start()
    try:
        with os.fdopen(inlet, "rb", buffering=BLOCK) as stream:
            try:
                yield stream
            finally:
                # Whoever stops reading early makes the other thread fail, which is no failure of the archive.
                real = list(failures)
    except BackupError as error:
        if real:
            raise _decryption_error(path, real[0]) from error
        raise
    finally:
        thread.join()
    if failures:
        raise _decryption_error(path, failures[0])


def _decryption_error(path: Path, failure: Exception) -> BackupError:
    words = str(failure)
    if "matching" in words.lower():
        return BackupError(f"{path}: this key does not open it")
    return BackupError(f"{path} is damaged or incomplete: {words}")


def _noting(failures: list[Exception], work: Callable[[], object]) -> None:
    try:
        work()
    except Exception as error:
        # The other thread raises it.
        failures.append(error)
