"""The folder in which a backup or a restore works."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.backup.archive import PARTIAL_SUFFIX, sum_of
from deploy.backup.errors import BackupError


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Let one backup or restore work in a folder, and remove what a killed one has left. Raises BackupError."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup or restore works in {folder}") from None
        for left in folder.glob(".work-*"):
            shutil.rmtree(left)
        for left in folder.glob(f"swiper-*{PARTIAL_SUFFIX}"):
            left.unlink()
            sum_of(left.with_name(left.name.removesuffix(PARTIAL_SUFFIX))).unlink(missing_ok=True)
        yield
