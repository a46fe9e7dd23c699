"""What a process counts without a lock: lookups of the cache, waits for connections, sweeps, errors."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from deploy.processes import wait_until
from swiper.cache.values import get_or_load, get_or_load_shared
from swiper.db.servers import CountedPool
from swiper.extensions import cache, db
from swiper.tallies import COPY, HIT, MISS, take_tallies, tallies
from swiper.tasks.queue import sweep
from tests.factories import People


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    tallies.clear()
    yield
    tallies.clear()


def test_what_is_taken_is_taken_once() -> None:
    tallies[HIT] += 3
    assert take_tallies() == {HIT: 3}
    assert take_tallies() == {}
    tallies[HIT] += 1
    assert take_tallies() == {HIT: 1}


def test_another_thread_may_count_something_new_meanwhile() -> None:
    class Busy(int):
        def __bool__(self) -> bool:
            tallies["swept:a sweep that has never run:done"] += 1
            return True

    tallies[HIT] = Busy(3)
    assert take_tallies() == {HIT: 3}


# --- the cache ---


def test_lookups_are_counted_by_where_the_value_was(app: Flask, make_app: Callable[..., Flask]) -> None:
    site = make_app(local_refresh_seconds=60)
    with site.app_context():
        for _ in range(3):
            get_or_load("{u:1}:thing", lambda: 1, 60)
        assert take_tallies() == {MISS: 1, HIT: 2}
        for _ in range(3):
            get_or_load_shared("thing", lambda: 1, 60)
        assert take_tallies() == {MISS: 1, COPY: 2}
        cache.clear()


def test_an_account_that_came_with_the_session_is_a_hit(app: Flask, people: People) -> None:
    man = people.add()
    man.get("/api/user/profile")
    tallies.clear()
    man.get("/api/user/profile")
    # Besides, the IP bans and the levels are looked up.
    assert take_tallies() == {HIT: 3}


def test_a_page_counts_once_for_whoever_waits_for_it(app: Flask, people: People) -> None:
    man = people.add()
    tallies.clear()
    assert man.get("/api/vip/levels").status_code == 200
    missed = take_tallies()[MISS]
    assert man.get("/api/vip/levels").status_code == 200
    assert tallies[MISS] == 0
    assert missed > 0


# --- pools ---


def test_a_wait_for_a_connection_is_counted_with_its_time(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}", poolclass=CountedPool, pool_size=1, max_overflow=0)
    engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    with engine.connect(), pytest.raises(PoolTimeoutError):
        engine.connect()
    assert take_tallies() == {"pool_waits": 1, "pool_wait_micros": pytest.approx(50_000, rel=1), "pool_timeouts": 1}
    engine.pool._timeout = 30  # type: ignore[attr-defined]
    held = engine.connect()
    waiting = threading.Thread(target=lambda: engine.connect().close())
    waiting.start()
    wait_until(lambda: engine.pool._pool.not_empty._waiters, 20, "nobody waits")  # type: ignore[attr-defined]
    held.close()
    waiting.join(20)
    counted = take_tallies()
    assert counted.pop("pool_wait_micros", 0) >= 0
    assert counted == {"pool_waits": 1}
    with engine.connect():
        assert take_tallies() == {}
    engine.dispose()


def test_the_engines_of_a_server_have_such_a_pool(app: Flask) -> None:
    """SQLite has neither replicas nor a network; nobody sets the size of its pools."""
    with app.app_context():
        database = app.extensions["database"]
        engines = [engine for engine in (database.main, database.reading) if engine is not None]
        is_server = db.engine.dialect.name != "sqlite"
        assert {isinstance(engine.pool, CountedPool) for engine in engines} == {is_server}


# --- sweeps and errors ---


def test_items_of_a_sweep_are_counted_by_what_became_of_them(app: Flask) -> None:
    def work(number: int) -> None:
        if number == 2:
            raise ValueError

    with app.app_context():
        sweep("tidy", lambda: [(1,), (2,), (3,)], work, ValueError)
    assert take_tallies() == {"swept:tidy:done": 2, "swept:tidy:failed": 1, "errors:tasks": 1}


def test_lines_of_errors_are_counted_by_the_part_that_logs(app: Flask) -> None:
    logging.getLogger("swiper.auth.codes").error("x")
    logging.getLogger("swiper.auth.login").critical("x")
    logging.getLogger("swiper.auth.login").warning("x")
    logging.getLogger("celery.app.trace").error("x")
    assert take_tallies() == {"errors:auth": 2, "errors:other": 1}
