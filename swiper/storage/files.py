"""Files of uploads on the local disk. They stay there until they are pushed, or for good with the local store."""

import os
import secrets
from pathlib import Path

from swiper.errors import UnavailableError

JPEG = "image/jpeg"


def new_key() -> str:
    """A random key `xx/<32 hex digits>.jpg`, which nobody can guess."""
    name = secrets.token_hex(16)
    return f"{name[:2]}/{name}.jpg"


def save_file(media_dir: Path, data: bytes, key: str | None = None) -> str:
    """Store `data` below `media_dir` under `key`, by default a new one, and return the key.

    Raises UnavailableError if the disk fails; then there is no file.
    """
    key = key or new_key()
    try:
        write_whole(media_dir / key, data)
    except OSError as error:
        raise UnavailableError from error
    return key


def write_whole(path: Path, data: bytes) -> None:
    """Write to a temporary file, then rename it to `path`, so that there is never half a file. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(path)
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def remove_local(media_dir: Path, key: str) -> None:
    """Remove the file of `key`, and the temporary file that a killed process may have left. Raises OSError."""
    path = media_dir / key
    for left in (partial_of(path), path):
        left.unlink(missing_ok=True)


def partial_of(path: Path) -> Path:
    """The temporary file of `path`."""
    return path.with_suffix(".part")
