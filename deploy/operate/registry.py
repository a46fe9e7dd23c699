"""The commands of `deploy/swiper`: each registers itself with its name, its help and its arguments."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deploy.operate.locks import Part
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
    locks: tuple[Part, ...]

    @property
    def help(self) -> str:
        """What it does, in the words of its function."""
        return (self.run.__doc__ or "").strip()


COMMANDS: dict[str, Command] = {}


def argument(*names: str, **options: Any) -> Argument:
    """An argument of a command, as `argparse` takes it."""
    return Argument(names, options)


def command(name: str, *arguments: Argument, locks: tuple[Part, ...] = (Part.PROCESSES,)) -> Callable[[Run], Run]:
    """Register a function as a command. Its docstring is the help. Two commands with a lock in common never overlap."""

    def register(run: Run) -> Run:
        COMMANDS[name] = Command(name, run, arguments, locks)
        return run

    return register
