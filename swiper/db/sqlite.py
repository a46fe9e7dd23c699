"""SQLite's connections: settings, waiting for the write lock, new connections when the file could not be written."""

import random
import sqlite3
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from swiper.db.transactions import is_in_transaction

BUSY_SECONDS = 10.0
# SQLite repeats these errors on a connection that was opened while the file or its disk was not writable.
STUCK = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


def prepare_sqlite(engine: Engine, main: Engine) -> None:
    """Register the event handlers of an engine. `main` is disposed of when the file could not be written.

    The engine for single statements follows `main`, so that both open new connections.
    """
    _retry_statements(engine)
    _renew_when_stuck(engine, main)


def begin_by_purpose(engine: Engine) -> None:
    """Take SQLite's write lock when a transaction of a transactional service begins, and not when one reads."""

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A deferred transaction that reads and then writes may fail, and waiting does not help then.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_in_transaction() else "BEGIN")


def _retry_statements(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            _retry_while_busy(connection.execute, f"PRAGMA {pragma}")

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        _retry_while_busy(cursor.execute, statement, parameters)
        return True

    @event.listens_for(engine, "do_execute_no_params")
    def execute_no_params(cursor: Any, statement: str, _context: Any) -> bool:
        _retry_while_busy(cursor.execute, statement)
        return True


def _renew_when_stuck(engine: Engine, main: Engine) -> None:
    """Close all connections, including those for single statements, when one cannot be used any more."""

    @event.listens_for(engine, "handle_error")
    def renew(context: Any) -> None:
        # A new connection checks whether the file is writable again. But SQLite shares what it knows of the file
        # between all connections of a process (os_unix.c), so all old connections must be closed first.
        if getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF in STUCK:
            context.is_disconnect = True
            cursor = getattr(context.execution_context, "cursor", None)
            if cursor is not None:
                # The exception still refers to this cursor. SQLite keeps a connection open while a cursor is open.
                cursor.close()
            # The event `engine_disposed` closes the connections for single statements.
            main.dispose()


def _retry_while_busy(execute: Callable[..., Any], *args: Any) -> None:
    """Call `execute` until SQLite's single write lock is free. Other greenlets run while this one waits.

    Raises the error of `execute` when the lock is not free after BUSY_SECONDS.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            execute(*args)
            return
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not is_busy or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.0005, 0.003))
