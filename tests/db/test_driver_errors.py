"""Errors of statements on a driver's cursor are SQLAlchemy's, and lost connections are not used again."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from swiper.db.driver_errors import translate
from swiper.db.statements import Statement, execute, read
from swiper.db.transactions import transactional
from swiper.outages import NO_ANSWER

BROKEN = Statement("SELECT no_such_column FROM users WHERE id = :uid", int)
RIGHT = Statement("SELECT id FROM users WHERE id = :uid", int)


def outside() -> Any:
    return read((BROKEN, {"uid": 1}))


@transactional
def inside() -> Any:
    return execute(BROKEN, {"uid": 1})


@pytest.mark.parametrize("ask", [outside, inside])
def test_an_error_is_sqlalchemys_and_its_connection_goes_back_to_the_pool(app: Flask, ask: Callable[[], Any]) -> None:
    with app.app_context():
        # More often than the pool has connections.
        for _ in range(40):
            with pytest.raises(DBAPIError, match="no_such_column"):
                ask()
        assert read((RIGHT, {"uid": 1})) == [[]]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine whose driver's errors without an answer mean a lost connection, as PyMySQL's do."""
    made = create_engine(f"sqlite:///{tmp_path / 'pool.db'}")
    monkeypatch.setattr(made.dialect, "is_disconnect", lambda error, *_: NO_ANSWER in error.args)
    yield made
    made.dispose()


def test_after_a_missing_answer_no_connection_of_the_pool_is_used_again(engine: Engine) -> None:
    asked, idle = engine.raw_connection(), engine.raw_connection()
    drivers = [asked.dbapi_connection, idle.dbapi_connection]
    idle.close()
    silence = sqlite3.OperationalError(2013, NO_ANSWER)
    error = translate(silence, "SELECT 1", asked, asked.dbapi_connection, engine, engine)
    asked.close()
    assert error.connection_invalidated
    following = engine.raw_connection()
    assert following.dbapi_connection not in drivers
    following.close()
