"""The list of engines. A module of this package adds its own by `@engine(...)`; nothing else names it."""

import importlib
import pkgutil
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import chaos.engines
from chaos.engines.trial import Trial
from chaos.servers import ENV

TryOut = Callable[[Trial], None]


class NotHereError(Exception):
    """The engine cannot be tried here, and no package of Debian's would change that; the text says why."""


@dataclass(frozen=True)
class Engine:
    """`try_out` starts the engine's servers, does everything to them, and ends them.

    `needs` has Debian's packages by what they bring: a program, or a file as a pattern that begins with `/`. The short
    form leaves out an engine whose `in_short` is False, unless it is named.
    """

    name: str
    title: str
    try_out: TryOut
    needs: Mapping[str, str] = field(default_factory=dict)
    in_short: bool = True

    def missing_packages(self) -> list[str]:
        """Debian's packages that have to be installed first."""
        return [package for thing, package in self.needs.items() if not _is_there(thing)]


_engines: list[Engine] = []


def engine(title: str, needs: Mapping[str, str] | None = None, *, in_short: bool = True) -> Callable[[TryOut], TryOut]:
    """Put a function on the list, under its own name; see `Engine`. It may raise NotHereError."""

    def add(try_out: TryOut) -> TryOut:
        _engines.append(Engine(try_out.__name__, title, try_out, needs or {}, in_short))
        return try_out

    return add


def all_engines() -> list[Engine]:
    """Every engine of every module, in the order of the modules' names."""
    for module in sorted(info.name for info in pkgutil.iter_modules(chaos.engines.__path__)):
        if module != "__main__":
            importlib.import_module(f"chaos.engines.{module}")
    return list(_engines)


def _is_there(thing: str) -> bool:
    if thing.startswith("/"):
        return any(Path("/").glob(thing[1:]))
    return shutil.which(thing, path=f"{ENV['PATH']}:/usr/sbin") is not None
