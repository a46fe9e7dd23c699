"""Uploads on the local disk, where they lie until, and with local storage after, they are pushed."""

import os
import secrets
from pathlib import Path

from swiper.errors import UnavailableError


def new_key() -> str:
    """A random key `xx/<32 hex digits>.jpg`, which nobody guesses."""
    name = secrets.token_hex(16)
    return f"{name[:2]}/{name}.jpg"


def save_file(media_dir: Path, data: bytes, key: str | None = None) -> str:
    """Store `data` below `media_dir` under `key`, by default a new one; the key is returned.

    Either the whole file is there or none. Raises UnavailableError when the disk does not take it.
    """
    key = key or new_key()
    try:
        write_whole(media_dir / key, data)
    except OSError as error:
        raise UnavailableError from error
    return key


def write_whole(path: Path, data: bytes) -> None:
    """Write beside `path`, then rename, so that no reader and no crash ever meets half a file. Raises OSError."""
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
    """Remove what lies under `key`, be it the whole file or what a killed process has left of it. Raises OSError."""
    path = media_dir / key
    for left in (partial_of(path), path):
        left.unlink(missing_ok=True)


def partial_of(path: Path) -> Path:
    """Where a file is written before it gets its name."""
    return path.with_suffix(".part")
