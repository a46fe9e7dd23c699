"""SQLite: settings of its connections, statements on its cursor, waiting for locks without blocking other greenlets."""

import functools
import json
import random
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import event
from sqlalchemy.engine import Engine

from swiper.clock import utc_text
from swiper.db.driver_errors import translate
from swiper.db.sql import IN_LIST, NAME, Kind, Read, Values, as_utc, names_in, reads_of
from swiper.db.transactions import is_in_transaction

R = TypeVar("R")

BUSY_SECONDS = 10.0
# The execution option of a connection whose transactions write outside of services.
WRITES = "swiper_writes"
# Longer lists are passed as one JSON array: to name and bind 5,000 values takes 20 ms.
MAX_NAMED = 100


def prepare_sqlite(engine: Engine) -> None:
    """Register the event handlers of an engine: settings of new connections, and waiting for the write lock."""

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            retry_while_busy(connection.execute, f"PRAGMA {pragma}")

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        retry_while_busy(cursor.execute, statement, parameters)
        return True

    @event.listens_for(engine, "do_execute_no_params")
    def execute_no_params(cursor: Any, statement: str, _context: Any) -> bool:
        retry_while_busy(cursor.execute, statement)
        return True


def begin_by_purpose(engine: Engine) -> None:
    """Take the write lock when a transaction begins that may write: a transactional service's, or one with WRITES."""

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A deferred transaction that reads and then writes may fail, and waiting does not help then.
        is_writing = is_in_transaction() or connection.get_execution_options().get(WRITES, False)
        start = "BEGIN IMMEDIATE" if is_writing else "BEGIN"
        driver = connection.connection.dbapi_connection
        try:
            retry_while_busy(driver.execute, start)
        except engine.dialect.loaded_dbapi.Error as error:
            raise translate(error, start, connection, driver, engine, engine) from error


def retry_while_busy(execute: Callable[..., R], *args: object) -> R:
    """Return what `execute` returns once SQLite's single write lock is free. Other greenlets run while this one waits.

    Raises the error of `execute` when the lock is not free after BUSY_SECONDS.
    """
    deadline = 0.0
    while True:
        try:
            return execute(*args)
        except sqlite3.OperationalError as error:
            deadline = deadline or time.monotonic() + BUSY_SECONDS
            if not is_busy(error) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.0005, 0.003))


def is_busy(error: BaseException | None) -> bool:
    """Return True for SQLite's error that another connection has the lock."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


# A kind that is missing is called with the value.
READERS: Mapping[Kind, Read | None] = {
    **{int: None, str: None, bytes: str.encode, bool: bool, date: date.fromisoformat},
    datetime: lambda text: as_utc(datetime.fromisoformat(text)),
}
WRITERS: Mapping[type, Callable[[Any], Any]] = {
    bool: int,
    date: date.isoformat,
    # With microseconds also where they are zero, since SQLite compares text.
    datetime: utc_text,
}


def _written(value: Any) -> Any:
    write = WRITERS.get(type(value))
    if write is not None:
        return write(value)
    return value.value if isinstance(value, StrEnum) else value


class OnSqlite:
    """See `DriverStatement`."""

    together = None

    def __init__(self, sql: str, columns: Sequence[Kind]) -> None:
        """`sql` has parameters `:name` and lists `IN :name`."""
        self.sql = sql
        self.lists = names_in(sql, IN_LIST)
        self.scalars = tuple(name for name in names_in(sql) if name not in self.lists)
        self.reads = reads_of(columns, READERS)
        self.text = functools.lru_cache(maxsize=100)(self._text)

    def run(self, connection: Any, values: Values, comment: str = "") -> list[Any]:
        """See `DriverStatement`."""
        bound = [_written(values[name]) for name in self.scalars]
        counts = []
        for name in self.lists:
            # A list without values fits nothing, and so does NULL.
            items = [_written(value) for value in values[name]] or [None]
            is_long = len(items) > MAX_NAMED
            counts.append(0 if is_long else len(items))
            bound += [json.dumps(items)] if is_long else items
        cursor = connection.cursor()
        try:
            retry_while_busy(cursor.execute, self.text(*counts) + comment, bound)
            return list(cursor.fetchall())
        except BaseException:
            # The exception refers to this cursor, and SQLite keeps a connection open while a cursor is open.
            cursor.close()
            raise

    def _text(self, *counts: int) -> str:
        """Return the SQL for lists of so many values. Its parameters are `?1`, `?2`, …: first the single values.

        A count of 0 stands for a list of any length that is passed as one JSON array.
        """
        places = {name: f"?{place}" for place, name in enumerate(self.scalars, 1)}
        end = len(places) + 1
        for name, count in zip(self.lists, counts, strict=True):
            if count:
                places[name] = f"({', '.join(f'?{place}' for place in range(end, end + count))})"
            else:
                places[name] = f"(SELECT value FROM json_each(?{end}))"  # noqa: S608
            end += count or 1
        return NAME.sub(lambda match: places[match[1]], self.sql)
