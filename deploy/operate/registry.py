"""The commands of `deploy/swiper`: each registers itself with its name, its help and its arguments."""

import argparse
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from deploy.operate.errors import OperateError
from deploy.operate.site import Site
from deploy.operate.steps import Steps

Arguments = argparse.Namespace
Run = Callable[[Site, Steps, Arguments], int | None]


@dataclass(frozen=True)
class Argument:
    """The arguments of `argparse.ArgumentParser.add_argument`."""

    names: tuple[str, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class Command:
    """A command; `run` returns its exit code, None for 0, and may raise OperateError."""

    name: str
    run: Run
    arguments: tuple[Argument, ...]
    is_locked: bool

    @property
    def help(self) -> str:
        """What it does, in the words of its function."""
        return (self.run.__doc__ or "").strip()


COMMANDS: dict[str, Command] = {}


def argument(*names: str, **options: Any) -> Argument:
    """An argument of a command, as `argparse` takes it."""
    return Argument(names, options)


def command(name: str, *arguments: Argument, is_locked: bool = True) -> Callable[[Run], Run]:
    """Register a function as a command. Its docstring is the help. Of locked commands one runs at a time on a site."""

    def register(run: Run) -> Run:
        COMMANDS[name] = Command(name, run, arguments, is_locked)
        return run

    return register


@contextmanager
def site_lock(site: Site) -> Iterator[None]:
    """Hold the lock of the commands that change a site. Raises OperateError if another one holds it."""
    if not site.run.is_dir():
        raise OperateError(f"{site.root} is no site: it has no folder run/ (see `install`)")
    # The folder belongs to the site's account, whose links root must not follow.
    handle = os.open(site.run / "operate.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    with os.fdopen(handle, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OperateError(f"another command changes {site.root} now; try again when it has ended") from None
        yield
