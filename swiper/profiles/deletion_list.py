"""The list of deleted accounts that is kept apart from the database, so that a restored backup can be told of them.

It is a folder of small files, one for each day and machine. A line has an id and the time of the deletion, and nothing
else: no number, no name. A deletion adds its line after its commit. Its tombstone is dropped only when the sweep has
added the line as well, so no deletion is missing after a crash; a deletion may have two lines.
"""

import os
import re
import socket
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from swiper.clock import now
from swiper.extensions import this_app

FILE = re.compile(r"(\d{4}-\d\d-\d\d)\.[\w.-]+\.csv")
LINE = re.compile(r"([1-9]\d{0,18}),(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)")


class Deletion(NamedTuple):
    """A deleted account, and when it was deleted."""

    uid: int
    deleted_at: datetime


def add(uid: int, deleted_at: datetime) -> None:
    """Add a deletion; it is on the disk when this returns. Raises OSError."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    machine = re.sub(r"[^\w-]", "-", socket.gethostname()) or "machine"
    path = folder / f"{now():%Y-%m-%d}.{machine}.csv"
    if not path.exists():
        purge()
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        # One call, so that the lines of several processes do not mix. The first newline ends what a full disk cut off.
        os.write(handle, f"\n{uid},{deleted_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def purge() -> int:
    """Remove the files of days before `DELETION_LIST_DAYS`. Return how many. Raises OSError."""
    oldest = oldest_day()
    old = [path for path in files_in(_folder()) if day_of(path) < oldest]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def oldest_day() -> date:
    """The first day whose deletions are listed."""
    return (now() - timedelta(days=this_app().config["DELETION_LIST_DAYS"])).date()


def read(folders: Iterable[Path]) -> dict[int, datetime]:
    """Return the ids in the lists of all `folders`, with the earliest time of each. Raises OSError."""
    found: dict[int, datetime] = {}
    for folder in folders:
        for path in files_in(folder):
            for uid, deleted_at in _deletions_in(path):
                found[uid] = min(deleted_at, found.get(uid, deleted_at))
    return found


def files_in(folder: Path) -> list[Path]:
    """Return the files of a list; none where there is no such folder. Raises OSError."""
    return sorted(path for path in folder.iterdir() if FILE.fullmatch(path.name)) if folder.exists() else []


def day_of(path: Path) -> date:
    """Return the day of a file of the list."""
    return date.fromisoformat(path.name[:10])


def _deletions_in(path: Path) -> Iterator[Deletion]:
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        # A line that was cut off was not the last word: the sweep has added the deletion again.
        if match := LINE.fullmatch(line):
            yield Deletion(int(match[1]), datetime.fromisoformat(match[2]))


def _folder() -> Path:
    folder: Path = this_app().config["DELETION_LIST_DIR"]
    return folder
