"""Runners of statements on single-node PostgreSQL, and a table to write into."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from swiper.db.stock_postgres import StockPostgres
from tests.db.single_node.runners import WAIT_SECONDS, MakeStatements, execute, statements_of


@pytest.fixture
def make_statements(app: Flask, make_app: Callable[..., Flask]) -> MakeStatements:
    """Builds applications with connections of their own, and returns what runs statements on them."""

    def make(size: int = 3, wait_seconds: float = WAIT_SECONDS, **changes: Any) -> StockPostgres:
        options = {"database_pool_size": size, "database_pool_timeout_seconds": wait_seconds}
        return statements_of(make_app(**options | changes))

    return make


@pytest.fixture(params=[False, True], ids=["prepared", "behind pgbouncer"])
def statements(request: pytest.FixtureRequest, make_statements: MakeStatements) -> StockPostgres:
    """One that prepares its statements, and one that may not."""
    return make_statements(database_behind_pgbouncer=request.param)


@pytest.fixture
def scratch(app: Flask) -> Iterator[None]:
    """A table that the tests may do anything with."""
    execute(app, "CREATE TABLE scratch (id int8 PRIMARY KEY, word text NOT NULL)")
    yield
    execute(app, "DROP TABLE scratch")
