"""Tries whether the folders that the settings name can be written."""

import errno
from collections.abc import Collection, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from config.base import Environment, Fault

if TYPE_CHECKING:
    from config.settings import Settings

SQLITE = "sqlite:///"
# A disk that is full, fails, or is read-only for a while. Programs start on such a disk and answer what they can.
DISK_OUTAGES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


def folder_faults(
    settings: "Settings", *, skipped: Collection[str] = (), tolerated: Collection[int] = ()
) -> list[Fault]:
    """Make each folder that is missing and write a file into it. Return a fault for each where this fails.

    `skipped` are variables that are not looked at, `tolerated` the numbers of errors of writing that are no fault.
    """
    faults: dict[str, Fault] = {}
    for name, folder in _folders_of(settings):
        # The media folder lies in the instance folder; one line is enough.
        if name not in skipped and name not in faults:
            reason = _try_folder(folder, None if name == "DATABASE_URL" else _mode_of(name, settings), tolerated)
            if reason is not None:
                faults[name] = Fault(name, reason)
    return list(faults.values())


def _folders_of(settings: "Settings") -> Iterator[tuple[str, Path]]:
    yield "SWIPER_INSTANCE", settings.instance
    yield "SWIPER_INSTANCE", settings.media_dir
    # In the instance folder, the first deletion makes it: a start on a disk that takes nothing must not fail.
    if settings.deletion_list_dir is not None and settings.deletion_list_dir.parent != settings.instance:
        yield "DELETION_LIST_DIR", settings.deletion_list_dir
    if settings.log_dir is not None:
        yield "LOG_DIR", settings.log_dir
    if settings.cache_type == "file" and settings.cache_dir is not None:
        yield "CACHE_DIR", settings.cache_dir
    path = settings.database_url.removeprefix(SQLITE).partition("?")[0]
    if settings.database_url.startswith(SQLITE) and path not in ("", ":memory:"):
        yield "DATABASE_URL", Path(path).parent


def _mode_of(name: str, settings: "Settings") -> int:
    """Return the mode of a folder that is made. In production, nginx reads the media in the instance folder."""
    is_private = name == "SWIPER_INSTANCE" and settings.environment is not Environment.PRODUCTION
    return 0o700 if is_private or name == "DELETION_LIST_DIR" else 0o777


def _try_folder(folder: Path, mode: int | None, tolerated: Collection[int]) -> str | None:
    """Return why the folder cannot be used, or None. Without a `mode`, a missing folder is not made."""
    if folder.exists() and not folder.is_dir():
        return f"{folder} is a file, not a folder"
    if mode is None and not folder.exists():
        return f"there is no folder {folder}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=mode or 0o700)
    except OSError as error:
        return f"cannot make the folder {folder}: {error.strerror}"
    try:
        with TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return None if error.errno in tolerated else f"cannot write to the folder {folder}: {error.strerror}"
