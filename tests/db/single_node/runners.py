"""Statements of the tests of single-node PostgreSQL, and what they see of its sessions."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from sqlalchemy import text
from sqlalchemy.engine import make_url

from config.settings import Settings
from swiper.db.stock_postgres import StockPostgres
from swiper.extensions import db
from swiper.fastpath.postgres_statements import Statement
from tests.proxy import FreezableProxy

PID = Statement("SELECT pg_backend_pid()", int)
ADD = Statement("SELECT $1::int8 + $2::int8", int)
WORDS = Statement("SELECT * FROM (VALUES (1, 'one', NULL::int8), (2, NULL, 3)) AS words ORDER BY 1", int, str, int)
NOTHING = Statement("SELECT 1 WHERE false", int)
PREPARED = Statement("SELECT count(*) FROM pg_prepared_statements", int)
SLEEP = Statement("SELECT pg_sleep(60)::text", str)
NAP = Statement("SELECT pg_sleep(0.01)::text", str)
PUT = Statement("INSERT INTO scratch (id, word) VALUES ($1::int8, $2::text)")
STORED = Statement("SELECT * FROM scratch ORDER BY id", int, str)
WAIT_SECONDS = 30.0
MakeStatements = Callable[..., StockPostgres]


def statements_of(app: Flask) -> StockPostgres:
    statements: StockPostgres = app.extensions["database"].runner
    return statements


def execute(app: Flask, statement: str, **values: Any) -> Any:
    """Run a statement on a connection of SQLAlchemy's; the first column of its first row."""
    with app.app_context(), db.engine.begin() as connection:
        result = connection.execute(text(statement), values)
        return result.scalar() if result.returns_rows else None


def pid_of(statements: StockPostgres) -> int:
    """The server's process behind the connection that was used last."""
    pid: int = statements.ask((PID, ()))[0][0][0]
    return pid


def is_there(app: Flask, pid: int) -> bool:
    return bool(execute(app, "SELECT count(*) FROM pg_stat_activity WHERE pid = :pid", pid=pid))


def terminate(app: Flask, pid: int) -> None:
    assert execute(app, "SELECT pg_terminate_backend(:pid)", pid=pid)


@contextmanager
def proxied(settings: Settings) -> Iterator[tuple[FreezableProxy, str]]:
    url = make_url(settings.database_url)
    with FreezableProxy(url.host or "", url.port or 5432) as proxy:
        yield proxy, url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)


def settled(proxy: FreezableProxy) -> int:
    """How many answers have come; each is counted a moment after whoever asked has it."""
    count = -1
    while count != proxy.answers:
        count = proxy.answers
        time.sleep(0.2)
    return count


def is_idle(app: Flask) -> bool:
    """True where no transaction is left open on any connection."""
    left = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    return bool(execute(app, left) == 0)
