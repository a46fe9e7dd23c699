"""Which commands may run on a site at the same time, and which one runs now."""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path

from deploy.operate.errors import OperateError
from deploy.operate.site import Site


class Part(StrEnum):
    """What a command needs for itself; the value is the name of a file in `run/`."""

    # What runs, and by which release.
    PROCESSES = "operate.lock"
    # Schema, rows and pictures as a whole. A backup takes long, and others must be able to start what has ended.
    DATA = "data.lock"


# The handles of the locks of this process. A child that works on when this one is killed gets them (`pass_fds`).
HELD: list[int] = []


@contextmanager
def site_locks(site: Site, parts: Sequence[Part], name: str) -> Iterator[None]:
    """Hold these locks for the command `name`. Raises OperateError with what runs, if another one holds one."""
    if parts and not site.run.is_dir():
        raise OperateError(f"{site.root} is no site: it has no folder run/ (see `install`)")
    with ExitStack() as stack:
        for part in parts:
            stack.enter_context(_lock(site, site.run / part, name))
        yield


@contextmanager
def _lock(site: Site, path: Path, name: str) -> Iterator[None]:
    # The folder belongs to the site's account, whose links root must not follow.
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    with os.fdopen(handle, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = lock.read().strip() or "another command"
            raise OperateError(f"{holder} runs on {site.root}; try again when it has ended") from None
        if not os.getuid():
            # The site's account may make backups by itself.
            os.fchown(handle, site.owner.uid, site.owner.gid)
        lock.truncate(0)
        lock.write(f"{name} (pid {os.getpid()}, since {time.strftime('%Y-%m-%d %H:%M:%S')})\n")
        lock.flush()
        HELD.append(handle)
        try:
            yield
        finally:
            HELD.remove(handle)
            lock.seek(0)
            lock.truncate(0)
