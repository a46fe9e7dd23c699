"""Where the experiments take place: one folder, the database servers, and the sites on them."""

import itertools
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from chaos.released_site import ReleasedSite
from chaos.servers import DatabaseServer, MariaDB, Postgres
from chaos.site import Site

T = TypeVar("T")

SQLITE, POSTGRES, MARIADB = "SQLite", "PostgreSQL", "MariaDB"
DATABASES = (SQLITE, POSTGRES, MARIADB)


class Lab:
    """A context manager; at its end no process, port or file of it is left.

    `is_short` asks for the short form; `count` chooses between the two sizes of an experiment.
    """

    def __init__(self, is_short: bool) -> None:
        self.is_short = is_short
        self.folder = Path(tempfile.mkdtemp(prefix="swiper-chaos-"))
        self.folder.chmod(0o755)
        self.servers: dict[str, DatabaseServer] = {}
        self.sites: dict[str, Site] = {}
        self.things: dict[str, object] = {}
        self.numbers = itertools.count(1)
        self.stack = ExitStack()

    def count(self, long: int, short: int) -> int:
        """`short` in the short form, `long` otherwise."""
        return short if self.is_short else long

    def server(self, database: str) -> DatabaseServer:
        """The running server of PostgreSQL or MariaDB."""
        if database not in self.servers:
            make = {POSTGRES: Postgres, MARIADB: MariaDB}[database]
            self.servers[database] = self.stack.enter_context(make(self.folder / database.lower()))
        return self.servers[database]

    def site(self, database: str) -> Site:
        """The site on `database` that experiments share: default limits but for those on addresses."""
        if database not in self.sites:
            self.sites[database] = self.stack.enter_context(self.new_site(database))
        return self.sites[database]

    def shared(self, name: str, make: Callable[[], AbstractContextManager[T]]) -> T:
        """What several experiments use together; made and entered by the first, left at the end."""
        if name not in self.things:
            self.things[name] = self.stack.enter_context(make())
        return cast(T, self.things[name])

    def new_site(self, database: str, **changes: Any) -> Site:
        """A site of one experiment's own; it is started by entering it."""
        return Site(*self.new_place(database), **changes)

    def new_place(self, database: str) -> tuple[Path, str]:
        """The folder of a site that is to be made, and the address of its empty database."""
        name = f"site{next(self.numbers)}"
        folder = self.folder / name
        url = f"sqlite:///{folder / 'swiper.db'}" if database == SQLITE else self.server(database).create_database(name)
        return folder, url

    def new_released_site(self, database: str) -> ReleasedSite:
        """A site that `deploy/swiper` runs; it is started by entering it."""
        return ReleasedSite(*self.new_place(database))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.close()
        shutil.rmtree(self.folder)
