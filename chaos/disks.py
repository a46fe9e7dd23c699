"""Disks that are full or may only be read."""

import ctypes
import errno
import os
import resource
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from chaos.servers import run
from chaos.site import Site

CLONE_NEWNS = 0x00020000  # unshare(2)
MEGABYTES = 8


class Disk(ABC):
    """What lies in `folder`, of which the instances of a site shall run out; `how` says by which means.

    `is_real` tells that nothing else of theirs is affected.
    """

    how = ""
    is_real = False

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        folder.chmod(0o755)
        self.folder = folder

    @abstractmethod
    @contextmanager
    def full(self, site: Site) -> Iterator[None]:
        """Not another byte."""

    @abstractmethod
    def close(self) -> None:
        """To be read only; nobody has a file open."""

    @abstractmethod
    def open(self) -> None:
        """To be written to again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open()


class SmallDisk(Disk):
    """A real one of few megabytes, in the memory of this machine.

    This process and those that it starts from now on see it, and nobody else: it is gone with the last of them.
    """

    how = f"a disk of {MEGABYTES} MB"
    is_real = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), "unshare")
        run("mount", "--make-rprivate", "/")
        run("mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=755", "small", folder)

    @contextmanager
    def full(self, site: Site) -> Iterator[None]:
        """See `Disk`."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        try:
            yield
        finally:
            filler.unlink()

    def close(self) -> None:
        """See `Disk`."""
        run("mount", "-o", "remount,ro", self.folder)

    def open(self) -> None:
        """See `Disk`."""
        run("mount", "-o", "remount,rw", self.folder)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run("umount", "--lazy", self.folder)


class PretendedDisk(Disk):
    """For those who may not mount anything: the kernel refuses the instances' writes all the same."""

    how = "RLIMIT_FSIZE and file modes, since nothing may be mounted here"

    @contextmanager
    def full(self, site: Site) -> Iterator[None]:
        """See `Disk`."""
        workers = [psutil.Process(each.pid) for program in site.instances.values() for each in program.children()]
        for worker in workers:
            worker.rlimit(psutil.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        try:
            yield
        finally:
            for worker in workers:
                worker.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def close(self) -> None:
        """See `Disk`."""
        self._change_modes(0o555, 0o444)

    def open(self) -> None:
        """See `Disk`."""
        self._change_modes(0o755, 0o644)

    def _change_modes(self, folders: int, files: int) -> None:
        for path in (self.folder, *self.folder.rglob("*")):
            path.chmod(folders if path.is_dir() else files)


def make_disk(folder: Path) -> Disk:
    """A real one where this machine permits it."""
    if os.getuid():
        return PretendedDisk(folder)
    try:
        return SmallDisk(folder)
    except (OSError, subprocess.CalledProcessError):
        folder.rmdir()
        return PretendedDisk(folder)
