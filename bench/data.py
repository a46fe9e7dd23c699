"""The people and swipes that everything is measured on, and what it costs to make them."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg.sql import SQL, Composed, Identifier
from sqlalchemy import create_engine, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from bench.cities import read_city
from bench.crowd import SEED as CROWD_SEED
from bench.crowd import Crowd
from config.settings import ROOT
from config.urls import with_driver
from swiper.extensions import db
from swiper.profiles.models import User
from swiper.robots.seeding import CITIES, seed_robots
from swiper.social.models import Swipe

# The tables that a person is in, with the column that has the id.
TABLES = {
    "users": "id",
    "phones": "uid",
    "nicknames": "uid",
    "preferences": "uid",
    "discovery": "uid",
    "memberships": "uid",
}
SCRATCH = "plain_copy"
CHUNK = 1 << 16
SEED = 1


@dataclass(frozen=True)
class Cast:
    """Ids of people who play a special part.

    `idle` are without any swipe, `busy` have swiped very many, `liked` are those whom very many like.
    """

    idle: tuple[int, ...]
    busy: tuple[int, ...]
    liked: tuple[int, ...]


@dataclass(frozen=True)
class Filled(Cast):
    """What was made. Times and peaks are 0 where nothing was missing.

    `copy_seconds` is the yardstick of `seed_seconds`: a plain COPY of the same rows.
    """

    seed_seconds: float
    seed_peak_kb: int
    copy_seconds: float
    swipe_seconds: float
    swipe_peak_kb: int


def fill(site_env: dict[str, str], database_url: str, people: int, swipes: int) -> Filled:
    """Bring the robots of a site up to `people`, and give them about `swipes` if they have none.

    `site_env` is the environment of the site's processes, `database_url` its PostgreSQL database with the schema in
    place. Raises subprocess.CalledProcessError when a command fails.
    """
    with _looking(database_url) as session:
        last = session.scalar(select(func.max(User.id))) or 0
        missing = people - (session.scalar(select(func.count()).select_from(User).where(User.is_robot)) or 0)
    seed_seconds, seed_peak, copy_seconds = 0.0, 0, 0.0
    if missing > 0:
        seed_seconds, seed_peak = run_measured(site_env, "flask", "seed-robots", missing, "--seed", SEED)
        copy_seconds = time_plain_copy(database_url, last)
    with _looking(database_url) as session:
        is_new = session.scalar(select(Swipe.uid).limit(1)) is None
    swipe_seconds, swipe_peak = run_measured(site_env, "bench.crowd", swipes) if is_new else (0.0, 0)
    _tidy(database_url)
    with _looking(database_url) as session:
        cast = read_cast(session)
    return Filled(
        **vars(cast),
        seed_seconds=seed_seconds,
        seed_peak_kb=seed_peak,
        copy_seconds=copy_seconds,
        swipe_seconds=swipe_seconds,
        swipe_peak_kb=swipe_peak,
    )


def fill_here(people: int, swipes: int) -> Cast:
    """Put so many robots and about so many swipes into the empty database of this application, whichever it is.

    The busy have swiped in all cities on top of that, since their own has too few people where it is not a large site.
    """
    seed_robots(people, SEED)
    crowd = Crowd(random.Random(CROWD_SEED), lambda _: None)
    crowd.fill(swipes)
    crowd.fill_elsewhere()
    return read_cast(db.session())


def read_cast(session: Session) -> Cast:
    """Who plays a special part, in all cities."""
    cities = [read_city(session, number) for number in range(len(CITIES))]
    return Cast(
        idle=tuple(uid for city in cities for uid in city.idle),
        busy=tuple(uid for city in cities for uid in city.busy),
        liked=tuple(uid for city in cities for uid in city.liked),
    )


def run_measured(env: dict[str, str], module: str, *words: object) -> tuple[float, int]:
    """Run a Python module to its end; its seconds, and its peak of memory in KB. Bars are shown on a terminal only."""
    with TemporaryDirectory() as folder:
        report = Path(folder, "peak")
        command = ("-m", "bench.peak", report, sys.executable, "-m", module, *words)
        output = None if sys.stdout.isatty() else subprocess.DEVNULL
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, *map(str, command)], env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, check=True
        )
        return time.perf_counter() - started, int(report.read_text())


def time_plain_copy(database_url: str, after: int) -> float:
    """How long PostgreSQL takes to COPY the rows of everybody with an id above `after` into tables of the same form.

    That is with all indexes and checks, and with the commit, but without the foreign key.
    """
    with _connected(database_url) as connection, TemporaryDirectory() as folder:
        files = {name: Path(folder, name) for name in TABLES}
        for name, path in files.items():
            _dump(connection, name, after, path)
        drop = SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(SCRATCH))
        connection.execute(drop)
        connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(SCRATCH)))
        for name in TABLES:
            connection.execute(SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(_scratch(name), Identifier(name)))
        connection.commit()
        try:
            started = time.perf_counter()
            for name, path in files.items():
                _load(connection, name, path)
            connection.commit()
            return time.perf_counter() - started
        finally:
            connection.rollback()
            connection.execute(drop)


def _dump(connection: psycopg.Connection, name: str, after: int, path: Path) -> None:
    query = SQL("COPY (SELECT * FROM {} WHERE {} > {}) TO STDOUT").format(
        Identifier(name), Identifier(TABLES[name]), after
    )
    with path.open("wb") as file, connection.cursor().copy(query) as copy:
        for block in copy:
            file.write(block)


def _load(connection: psycopg.Connection, name: str, path: Path) -> None:
    statement = SQL("COPY {} FROM STDIN").format(_scratch(name))
    with path.open("rb") as file, connection.cursor().copy(statement) as copy:
        while block := file.read(CHUNK):
            copy.write(block)


def _scratch(name: str) -> Composed:
    return SQL("{}.{}").format(Identifier(SCRATCH), Identifier(name))


def _tidy(database_url: str) -> None:
    """Leave the tables as a server in service has them: vacuumed, and known to the planner."""
    with _connected(database_url) as connection:
        connection.autocommit = True
        connection.execute("VACUUM (ANALYZE)")


def _connected(database_url: str) -> psycopg.Connection:
    return psycopg.connect(make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False))


@contextmanager
def _looking(database_url: str) -> Iterator[Session]:
    with Session(create_engine(with_driver(database_url), poolclass=NullPool)) as session:
        yield session
