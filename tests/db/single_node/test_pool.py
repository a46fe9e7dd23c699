"""Connections for statements on single-node PostgreSQL: how many there are, and who waits."""

import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from config.settings import Settings
from deploy.processes import wait_until
from swiper.extensions import db
from swiper.fastpath.postgres_statements import Statement
from swiper.http.responses import is_outage
from tests.db.single_node.runners import ADD, PID, MakeStatements, is_there, pid_of, statements_of
from tests.factories import at_once
from tests.processes import free_port, patched_program


def test_no_more_connections_are_made_than_may_be(make_statements: MakeStatements) -> None:
    """Threads that take turns as often as they can, and failures among them."""
    size = 3
    statements = make_statements(size)

    def ask(thread: int) -> set[int]:
        pids = set()
        for number in range(150):
            pid, answer = statements.ask((PID, ()), (ADD, (thread, number)))
            assert answer == [(thread + number,)]
            pids.add(pid[0][0])
            if number % 50 == 49:
                with pytest.raises(DBAPIError):
                    statements.ask((Statement("SELECT 1 / 0", int), ()))
        return pids

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        found = at_once([lambda thread=thread: ask(thread) for thread in range(8)])
    finally:
        sys.setswitchinterval(before)
    # Each failure costs a connection.
    assert len(set.union(*found)) <= size + 8 * 3


def test_whoever_waits_too_long_is_told_and_takes_no_place(make_statements: MakeStatements) -> None:
    statements = make_statements(3, 0.05)
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(closing(statements.engine.raw_connection()))
        for _ in range(3):
            with pytest.raises(PoolTimeoutError) as late:
                statements.ask((PID, ()))
            assert is_outage(late.value)
    assert at_once([lambda: statements.ask((ADD, (1, 2)))] * 3) == [[[(3,)]]] * 3


def test_the_place_of_a_connection_that_cannot_be_made_goes_to_the_next_who_waits(
    make_statements: MakeStatements, settings: Settings
) -> None:
    url = make_url(settings.database_url).set(host="127.0.0.1", port=free_port())
    statements = make_statements(database_url=url.render_as_string(hide_password=False))

    def ask() -> str:
        with pytest.raises(DBAPIError) as away:
            statements.ask((PID, ()))
        return type(away.value).__name__

    assert at_once([ask] * 6) == ["OperationalError"] * 6


@pytest.mark.parametrize("fast_paths", ["on", "off"])
def test_a_greenlet_that_is_ended_gives_up_its_connection_or_its_turn(
    fast_paths: str, app: Flask, settings: Settings, tmp_path: Path
) -> None:
    arguments = ("postgres", settings.database_url, settings.redis_url, fast_paths)
    with patched_program(settings, tmp_path / "log", "tests.interrupted_greenlets", *arguments) as program:
        assert program.wait() == 0, program.output
    assert program.output.splitlines()[-1] == "done"


def test_a_connection_is_made_while_all_of_the_engines_own_are_in_use(make_app: Callable[..., Flask]) -> None:
    """By requests that have read something the long way and now swipe: they would wait for each other."""
    app = make_app(database_pool_size=3, database_max_overflow=3)
    with app.app_context(), db.engine.connect(), db.engine.connect(), db.engine.connect():
        assert statements_of(app).ask((ADD, (1, 2))) == [[(3,)]]


def test_the_end_of_the_engines_pool_closes_those_that_nobody_uses(app: Flask, make_app: Callable[..., Flask]) -> None:
    own = make_app()
    pid = pid_of(statements_of(own))
    with own.app_context():
        db.engine.dispose()
    wait_until(lambda: not is_there(app, pid), 20, "it stays open")
    assert pid_of(statements_of(own)) != pid
