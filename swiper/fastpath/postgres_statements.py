"""Statements for a single PostgreSQL server, their values, and their rows.

Values are sent as text. The fast path (`postgres`) and the stock pool (`swiper/db/stock_postgres.py`) use the same
statements, values and rows.
"""

import copy
import itertools
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import psycopg
from psycopg.pq import ConnStatus, ExecStatus
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from swiper.clock import aware
from swiper.outages import is_server_moved

R = TypeVar("R")

Row = tuple[Any, ...]
Step = tuple["Statement", Sequence[Any]]
WrittenStep = tuple["Statement", "list[bytes | None] | None"]
GOOD = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
# The tables have changed since this connection prepared the statement.
STALE_PLAN = "0A000"

_numbers = itertools.count()


def _from_bytes(read: Any) -> Callable[[bytes], Any]:
    """Return the function that reads bytes of libpq as `read` reads text. Integers need no text in between."""
    if read is int or read is bytes:
        return read
    return bytes.decode if read is str else lambda value: read(value.decode())


class Statement:
    """SQL with parameters `$1`, `$2`, …, and for each column of the result a function that reads text, or `bytes`."""

    def __init__(self, sql: str, *columns: Callable[[str], Any] | type[bytes]) -> None:
        self.sql = " ".join(sql.split())
        self.columns = tuple(map(_from_bytes, columns))
        # The name under which it is prepared; an empty one is never prepared.
        self.name = f"swiper{next(_numbers)}".encode()
        self.encoded = self.sql.encode()

    def with_comment(self, comment: str) -> "Statement":
        """Return the same statement with a comment behind it. It is not prepared: its text comes only once."""
        commented = copy.copy(self)
        commented.sql = self.sql + comment
        commented.encoded, commented.name = commented.sql.encode(), b""
        return commented


BEGIN = Statement("BEGIN ISOLATION LEVEL READ COMMITTED")
COMMIT = Statement("COMMIT")


_int_text = b"%d".__mod__
WRITERS: dict[type, Callable[[Any], bytes | None]] = {
    int: _int_text,
    str: str.encode,
    date: lambda value: value.isoformat().encode(),
    datetime: lambda value: aware(value).isoformat().encode(),
    list: lambda ids: b"{%s}" % b",".join(map(_int_text, ids)),
    bool: lambda value: b"t" if value else b"f",
    type(None): lambda _: None,
}


def _enum_text(value: Any) -> bytes:
    if isinstance(value, StrEnum):
        return str.encode(value)
    raise TypeError(f"no rule for {type(value).__name__}")


def texts_of(values: Sequence[Any]) -> list[bytes | None]:
    """Return the parameters as PostgreSQL reads them. Raises TypeError for a type that no statement of ours has."""
    return [WRITERS.get(type(value), _enum_text)(value) for value in values]


def written(steps: Sequence[Step]) -> list[WrittenStep]:
    """Return the statements with their values as PostgreSQL reads them. Raises TypeError as `texts_of` does."""
    return [(statement, texts_of(values) if values else None) for statement, values in steps]


def leave_out_row(error: psycopg.Error) -> None:
    """Shorten an error to its first sentence. The others quote the refused row, and errors are logged."""
    if error.diag.message_primary:
        error.args = (error.diag.message_primary,)


class StatementRunner(Protocol):
    """Runs statements. Each call is one round trip and one transaction of its own."""

    def ask(self, *steps: Step) -> list[list[Row]]:
        """Return the rows of each statement.

        Raises DBAPIError, and SQLAlchemy's TimeoutError if no connection becomes free in time.
        """

    def commit(self, step: Step) -> list[Row]:
        """Run one statement in a READ COMMITTED transaction of its own, and return its rows. Raises as `ask`."""

    def read(self, *steps: Step) -> list[list[Row]]:
        """Do the same as `ask` for statements that change nothing and lock nothing."""

    def close_idle(self, *_: Any) -> None:
        """Close idle connections now, and the others after their next answer."""


def commit_by(ask: Callable[..., list[list[Row]]], step: Step, *, keeps_settings: bool) -> list[Row]:
    """Return the rows of one statement, which `ask` runs in a READ COMMITTED transaction of its own.

    `keeps_settings` says that the connections have this level by default. One statement is a transaction by itself, so
    BEGIN and COMMIT would only be two more statements.
    """
    if keeps_settings:
        (rows,) = ask(step)
    else:
        _, rows, _ = ask((BEGIN, ()), step, (COMMIT, ()))
    return rows


def is_lost(error: psycopg.Error, pgconn: Any) -> bool:
    """Return True if the connection must not be used after `error`: it has ended, or its plans are out of date.

    A fatal error means that the server ends the connection, even if libpq has not noticed the end yet.
    """
    is_over = pgconn.status != ConnStatus.OK or error.diag.severity_nonlocalized == "FATAL"
    return error.sqlstate == STALE_PLAN or is_over or is_server_moved(error)


def retry_stale_plan(run: Callable[[], R]) -> R:
    """Return what `run` returns. It is called once more if its plan was out of date. Raises what `run` raises.

    PostgreSQL has done nothing in that case. `run` closes the connections with old plans before it raises, so the
    second call makes a plan for the changed tables.
    """
    try:
        return run()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != STALE_PLAN:
            raise
    return run()


def as_sqlalchemys(error: Exception, engine: Engine, sql: str | None = None, *, is_lost: bool = False) -> Any:
    """Return the driver's `error` as SQLAlchemy would raise it, without the refused row of PostgreSQL's errors."""
    if isinstance(error, psycopg.Error):
        leave_out_row(error)
    return DBAPIError.instance(
        *(sql, None, error, engine.dialect.loaded_dbapi.Error),
        hide_parameters=True,
        connection_invalidated=is_lost,
        dialect=engine.dialect,
    )


def rows_of(result: Any, statement: Statement) -> list[Row]:
    """Return the rows of a result. Each column is read as the statement says."""
    if not statement.columns or not (count := result.ntuples):
        return []
    get = result.get_value
    if count == 1:
        # Most results have one row. Reading it by column would cost more than it saves.
        row = [get(0, number) for number in range(len(statement.columns))]
        reads = zip(statement.columns, row, strict=True)
        return [tuple([value if value is None or read is bytes else read(value) for read, value in reads])]
    rows = range(count)
    # Reading by column does most of the work in C.
    columns: list[Iterable[Any]] = []
    for number, read in enumerate(statement.columns):
        values = map(get, rows, itertools.repeat(number))
        columns.append(values if read is bytes else [None if value is None else read(value) for value in values])
    return list(zip(*columns, strict=True))
