"""Uploads on the local disk, where they lie until, and with local storage after, they are pushed."""

import os
import secrets
from pathlib import Path

from swiper.errors import UnavailableError


def save_file(media_dir: Path, data: bytes) -> str:
    """Store `data` under a random key `xx/<32 hex digits>.jpg` below `media_dir`; the key is returned.

    Either the whole file is there or none. Raises UnavailableError when the disk does not take it.
    """
    name = secrets.token_hex(16)
    key = f"{name[:2]}/{name}.jpg"
    try:
        write_whole(media_dir / key, data)
    except OSError as error:
        raise UnavailableError from error
    return key


def write_whole(path: Path, data: bytes) -> None:
    """Write beside `path`, then rename, so that no reader and no crash ever meets half a file. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
