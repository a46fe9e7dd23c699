"""What follows a driver's error: it is raised as SQLAlchemy's, and connections that are of no use are closed."""

import sqlite3
from typing import Any, cast

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from swiper.db.hosts import has_several_hosts
from swiper.fastpath.postgres_statements import as_sqlalchemys, leave_out_row
from swiper.outages import is_server_moved, is_silence

# SQLite repeats these errors on a connection that was opened while the file or its disk was not writable.
STUCK = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


def translate(
    error: Exception, sql: str | None, connection: Any, driver: Any, engine: Engine, main: Engine
) -> DBAPIError:
    """Return the `error` of a statement as SQLAlchemy's. The connection is invalidated where it must not be used again.

    `connection` is one of SQLAlchemy's, or of the pool of `engine`, and `driver` the driver's below it; both are None
    if there is none yet. See `close_unusable` for `main`.
    """
    must_leave = close_unusable(error, main)
    is_lost = must_leave or engine.dialect.is_disconnect(cast(Any, error), driver, None)
    if is_lost and connection is not None:
        connection.invalidate(error)
        if not must_leave:
            # Others that wait in the pool may be lost as well, and each would cost a request its time limit. SQLAlchemy
            # does not use them again after an error of its own cursor either.
            engine.dispose()
    translated: DBAPIError = as_sqlalchemys(error, engine, sql, is_lost=is_lost)
    return translated


def close_unusable(error: BaseException, main: Engine) -> bool:
    """Close all connections, and return True, if `error` says that a server or file must be left: see `outages`.

    `main` is the engine of the transactions. Its event `engine_disposed` closes the connections for single statements.
    """
    must_leave = is_server_moved(error) or _is_stuck(error)
    if must_leave:
        main.dispose()
    elif is_silence(error):
        leave_silent_server(main)
    return must_leave


def leave_silent_server(main: Engine) -> None:
    """Close idle connections if the URL of `main` names several hosts, since another one may take the work by now.

    Each of them would cost a request its time limit. Others still wait for answers on the rest, which stay open.
    """
    if has_several_hosts(main.url.query):
        main.dispose()


def _is_stuck(error: BaseException | None) -> bool:
    """Return True if only a new connection can find out whether SQLite's file is usable again.

    SQLite shares what it knows of the file between all connections of a process (os_unix.c), so all of them must be
    closed first.
    """
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in STUCK


def handle_errors(engine: Engine, main: Engine) -> None:
    """Do the same for the statements that SQLAlchemy runs by itself."""

    @event.listens_for(engine, "handle_error")
    def leave(context: Any) -> None:
        error = context.original_exception
        cursor = getattr(context.execution_context, "cursor", None)
        if _is_stuck(error) and cursor is not None:
            # The exception still refers to this cursor. SQLite keeps a connection open while a cursor is open.
            cursor.close()
        if close_unusable(error, main):
            context.is_disconnect = True

    @event.listens_for(engine, "handle_error")
    def forget_row(context: Any) -> None:
        """Remove the refused row from PostgreSQL's errors: it has personal data, and errors are logged."""
        diagnosis = getattr(context.original_exception, "diag", None)
        if diagnosis is not None and diagnosis.message_detail and context.sqlalchemy_exception is not None:
            kind = type(context.original_exception)
            leave_out_row(context.original_exception)
            context.sqlalchemy_exception.args = (f"({kind.__module__}.{kind.__name__}) {diagnosis.message_primary}",)
