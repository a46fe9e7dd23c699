"""The measured site on PostgreSQL, behind nginx, and smaller ones beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import psycopg

from bench import data
from bench.extent import Extent
from bench.servers import LoggingPostgres
from bench.site import Site
from swiper.extensions import db
from swiper.social.ranking_rebuild import rebuild_ranking
from tests.front import render, start_nginx
from tests.processes import BIN, Program, answers_at, free_port


class Lab(Site):
    """See `Site`."""

    def __init__(self, extent: Extent) -> None:
        super().__init__(extent, LoggingPostgres)
        # By "people" and "swipes" and the name of a request: how many there are, and microseconds of all servers.
        self.curves: dict[str, dict[str, list[tuple[int, float]]]] = {"people": {}, "swipes": {}}

    def start(self) -> None:
        """See `Site`."""
        super().start()
        self.front = f"http://127.0.0.1:{free_port()}"
        port = int(self.front.rpartition(":")[2])
        own = int(self.base.rpartition(":")[2])
        text = render(self.folder, self.settings.media_dir, port, [own, own], connections=4096)
        self.nginx = self.stack.enter_context(start_nginx(self.folder, text))
        self.nginx.wait_for(lambda: answers_at(self.front), "nginx does not serve")

    @property
    def postgres(self) -> LoggingPostgres:
        """The database server."""
        assert isinstance(self.server, LoggingPostgres)
        return self.server

    @contextmanager
    def celery(self) -> Iterator[Program]:
        """A Celery worker as in production. Without beat: its turns would fall into some rounds and not into others."""
        command = (BIN / "celery", "-A", "celery_worker", "worker", "--loglevel", "info", "--without-gossip")
        with Program((*command, "--without-mingle"), self.env, self.folder / "celery.log") as program:
            program.wait_for_line("ready.")
            yield program

    @cached_property
    def filled(self) -> data.Filled:
        """What the database holds, once it is filled; then what autovacuum and beat do in time is done at once."""
        filled = data.fill(self.env, self.database_url, self.size.people, self.size.swipes)
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        with self.app.app_context():
            rebuild_ranking()
            db.session.remove()
        return filled

    @cached_property
    def smaller(self) -> list["Lab"]:
        """Sites with fewer people, beside this one on the same machine."""
        extents = [replace(self.extent, sizes=[size]) for size in self.extent.sizes[:-1]]
        return [self.stack.enter_context(Lab(extent)) for extent in extents]

    def in_database(self, query: str, *values: object) -> list[Any]:
        """The rows of a query of our own."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()
