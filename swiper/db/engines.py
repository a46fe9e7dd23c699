"""Database engines that never block a gevent worker on SQLite's locks or on a server that does not answer."""

import logging
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar

from flask import Flask
from gevent import Timeout, get_hub, getcurrent
from gevent.monkey import get_original, is_module_patched
from pymysql.connections import Connection as PyMySQLConnection  # type: ignore[import-untyped]
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DisconnectionError

from swiper.db.statements import Database
from swiper.db.stock_postgres import StockPostgres
from swiper.db.transactions import is_in_transaction
from swiper.db.upsert import COPIED_ROWS
from swiper.extensions import db
from swiper.fastpath import versions
from swiper.fastpath.postgres import MIN_CONNECTIONS, SharedPostgres
from swiper.fastpath.postgres_statements import StatementRunner, leave_out_row
from swiper.outages import NO_ANSWER, is_server_moved

log = logging.getLogger(__name__)

R = TypeVar("R")

SQLITE_BUSY_SECONDS = 10.0
# SQLite repeats these errors on a connection that was opened while the file or its disk was not writable.
SQLITE_STUCK = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
# PyMySQL's error number for a connection that was lost during a query.
LOST_CONNECTION = 2013


def engine_options(url: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the options of `create_engine` for the database at `url`."""
    # Parameters are personal data. The text of an error must not contain them.
    options: dict[str, Any] = {"hide_parameters": True}
    if url.startswith("sqlite"):
        # The driver would block all greenlets of the process while it waits. `_retry_while_busy` waits instead.
        return options | {"connect_args": {"timeout": 0, "isolation_level": None, "check_same_thread": False}}
    connect_args: dict[str, Any] = {}
    if not is_module_patched("socket"):
        # In a gevent worker `_limited_beginning` has the limit. The drivers would count the worker's own delays.
        connect_args["connect_timeout"] = config["DATABASE_CONNECT_TIMEOUT_SECONDS"]
    if url.startswith("postgresql") and config["DATABASE_BEHIND_PGBOUNCER"]:
        connect_args["prepare_threshold"] = None
    left = config["DATABASE_POOL_SIZE"] + config["DATABASE_MAX_OVERFLOW"] - single_connections(url, config)
    size = max(1, min(config["DATABASE_POOL_SIZE"], left))
    return options | {
        "connect_args": connect_args,
        "isolation_level": "READ COMMITTED",
        "pool_recycle": 1800,
        "pool_size": size,
        "max_overflow": max(0, left - size),
        "pool_timeout": config["DATABASE_POOL_TIMEOUT_SECONDS"],
    }


def single_connections(url: str, config: dict[str, Any]) -> int:
    """Return how many of a process's connections are reserved for single statements."""
    size, overflow = config["DATABASE_POOL_SIZE"], config["DATABASE_MAX_OVERFLOW"]
    # Where few are allowed beside the pool, half of all.
    kept: int = min(size, max(overflow, (size + overflow) // 2))
    return max(MIN_CONNECTIONS if url.startswith("postgresql") else 1, kept)


def init_app(app: Flask) -> None:
    """Register the event handlers of every engine, including the engines of replicas."""
    with app.app_context():
        for engine in db.engines.values():
            if engine.dialect.name == "sqlite":
                _prepare_sqlite(engine)
                _begin_sqlite(engine)
                _renew_sqlite(engine, engine)
            else:
                _prepare_server(engine, app.config["DATABASE_STATEMENT_SECONDS"])
                _leave_moved_server(engine, engine)
                _keep_rows_out_of_errors(engine)
        app.extensions["database"] = _database_of(db.engine, app.config)


def _database_of(engine: Engine, config: dict[str, Any]) -> Database:
    if engine.dialect.name == "sqlite" and engine.url.database in (None, "", ":memory:"):
        # Another engine would open another, empty database.
        return Database(engine, None, is_single_node=False)
    kept = _kept_engine(engine, config)
    if engine.dialect.name == "postgresql":
        return Database(None, _runner(engine, kept, config), is_single_node=config["DATABASE_LAYOUT"] == "single")
    event.listen(engine, "engine_disposed", lambda _: kept.dispose())
    return Database(kept, None, is_single_node=False)


def _kept_engine(engine: Engine, config: dict[str, Any]) -> Engine:
    """Return an engine with its own connections for single statements, each of which is a transaction by itself."""
    options = engine_options(engine.url.drivername, config)
    if engine.dialect.name != "sqlite":
        options |= {"pool_size": single_connections(engine.url.drivername, config), "max_overflow": 0}
    # A ROLLBACK that ends nothing would be a round trip of its own.
    options |= {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None, "skip_autocommit_rollback": True}
    kept = create_engine(engine.url, **options)
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(kept)
        _renew_sqlite(kept, engine)
    else:
        _prepare_server(kept, config["DATABASE_STATEMENT_SECONDS"])
        _leave_moved_server(kept, engine)
        _keep_rows_out_of_errors(kept)
    return kept


def _runner(engine: Engine, kept: Engine, config: dict[str, Any]) -> StatementRunner:
    """Return the runner of single statements for a PostgreSQL server."""
    seconds, size = config["DATABASE_STATEMENT_SECONDS"], single_connections("postgresql", config)
    is_alone = not config["DATABASE_BEHIND_PGBOUNCER"]
    stock = StockPostgres(kept, partial(_run_limited, kept.dialect, seconds), keeps_settings=is_alone)
    runner: StatementRunner = stock
    if versions.may_share(config["FAST_PATHS"] in ("on", "postgres"), versions.POSTGRES):
        runner = SharedPostgres(
            stock,
            engine,
            stock.connect,
            size=size,
            wait_seconds=config["DATABASE_POOL_TIMEOUT_SECONDS"],
            seconds=seconds,
            is_preparing=is_alone,
            no_answer=partial(_no_answer, engine.dialect, seconds),
        )
    event.listen(engine, "engine_disposed", runner.close_idle)
    return runner


def _prepare_sqlite(engine: Engine) -> None:
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


def _begin_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A deferred transaction that reads and then writes may fail, and waiting does not help then.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_in_transaction() else "BEGIN")


def _renew_sqlite(engine: Engine, main: Engine) -> None:
    """Close all connections, including those for single statements, when one cannot be used any more."""

    @event.listens_for(engine, "handle_error")
    def renew(context: Any) -> None:
        # A new connection checks whether the file is writable again. But SQLite shares what it knows of the file
        # between all connections of a process (os_unix.c), so all old connections must be closed first.
        if getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF in SQLITE_STUCK:
            context.is_disconnect = True
            cursor = getattr(context.execution_context, "cursor", None)
            if cursor is not None:
                # The exception still refers to this cursor. SQLite keeps a connection open while a cursor is open.
                cursor.close()
            # The event `engine_disposed` closes the connections for single statements.
            main.dispose()


def _retry_while_busy(execute: Callable[..., Any], *args: Any) -> None:
    """Call `execute` until SQLite's single write lock is free. Other greenlets run while this one waits.

    Raises the error of `execute` when the lock is not free after SQLITE_BUSY_SECONDS.
    """
    deadline = time.monotonic() + SQLITE_BUSY_SECONDS
    while True:
        try:
            execute(*args)
            return
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not is_busy or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.0005, 0.003))


def _prepare_server(engine: Engine, seconds: float) -> None:
    """Limit each statement to `seconds` in a gevent worker, and replace closed connections before they are used.

    psycopg has no time limit for a server that accepts a connection but does not answer. PyMySQL has one, but it would
    also end the long statements of tasks.
    """
    dialect = engine.dialect
    if dialect.driver == "pymysql":

        @event.listens_for(engine, "do_connect")
        def connect(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
            return SharedTlsConnection(*args, **parameters)

    @event.listens_for(engine, "checkout")
    def refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
        if _is_readable(connection):
            # An idle connection is readable only after the server has closed it. The pool then makes a new one.
            raise DisconnectionError("the server has closed this connection")

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        rows = context.execution_options.get(COPIED_ROWS)
        work = (
            partial(cursor.execute, statement, parameters) if rows is None else partial(_copy, cursor, statement, rows)
        )
        _run_limited(dialect, seconds, cursor.connection, statement, work)
        return True

    @event.listens_for(engine, "do_executemany")
    def execute_many(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        _run_limited(dialect, seconds, cursor.connection, statement, lambda: cursor.executemany(statement, parameters))
        return True

    # SQLAlchemy has no events that could replace these three functions.
    for name in ("do_commit", "do_rollback"):
        setattr(dialect, name, _limited_ending(dialect, seconds, name))
    vars(engine)["raw_connection"] = _limited_beginning(engine, seconds)


def _copy(cursor: Any, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    """Run a COPY with psycopg. It sends the rows one by one, and the server stores them meanwhile."""
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _leave_moved_server(engine: Engine, main: Engine) -> None:
    """Close all connections, including those for single statements, when a server reports that it accepts no work."""

    @event.listens_for(engine, "handle_error")
    def leave(context: Any) -> None:
        if is_server_moved(context.original_exception):
            context.is_disconnect = True
            # The event `engine_disposed` closes the connections for single statements.
            main.dispose()


def _keep_rows_out_of_errors(engine: Engine) -> None:
    """Remove the refused row from PostgreSQL's errors. They quote it with all personal data, and errors are logged."""

    @event.listens_for(engine, "handle_error")
    def forget_row(context: Any) -> None:
        diagnosis = getattr(context.original_exception, "diag", None)
        if diagnosis is not None and diagnosis.message_detail and context.sqlalchemy_exception is not None:
            kind = type(context.original_exception)
            leave_out_row(context.original_exception)
            context.sqlalchemy_exception.args = (f"({kind.__module__}.{kind.__name__}) {diagnosis.message_primary}",)


def _limited_beginning(engine: Engine, seconds: float) -> Callable[[], Any]:
    """Return the engine's `raw_connection` with the time limit of a statement.

    One limit covers three steps: waiting for the pool, connecting, and the first queries of SQLAlchemy and the driver
    on a new connection.
    """
    begin = engine.raw_connection

    def begin_limited() -> Any:
        return _run_limited(engine.dialect, seconds, None, "connect", begin)

    return begin_limited


def _limited_ending(dialect: Any, seconds: float, name: str) -> Callable[[Any], None]:
    """Return the dialect's `do_commit` or `do_rollback` with the time limit of a statement."""
    end: Callable[[Any], None] = getattr(dialect, name)

    def end_limited(connection: Any) -> None:
        # The session passes the pool's proxy. The pool passes the driver's connection.
        own = getattr(connection, "dbapi_connection", connection)
        _run_limited(dialect, seconds, own, name, lambda: end(connection))

    return end_limited


class SharedTlsConnection(PyMySQLConnection):  # type: ignore[misc]
    """PyMySQL's connection with one TLS context for all connections that use TLS because the server offers it.

    PyMySQL makes a context for each connection, and reads all certificates of the system for it. This blocks a worker
    for 40 ms (measured with 1.2), ten times as long as the rest of connecting.
    """

    offered_tls: ClassVar[Any] = None

    def fileno(self) -> int:
        """Return the socket's file descriptor, as psycopg's connections do. Raises AttributeError if it is closed."""
        return int(self._sock.fileno())

    def _create_ssl_ctx(self, sslp: Any) -> Any:
        if sslp:
            return super()._create_ssl_ctx(sslp)
        kind = type(self)
        kind.offered_tls = kind.offered_tls or super()._create_ssl_ctx({})
        return kind.offered_tls


class _Patience:
    """Raises `Timeout` in the greenlet inside the `with` block when the server has sent nothing for `seconds`.

    Only moments at which this process could read an answer count, so a busy process does not blame the server for its
    own delay. With a `connection`, an answer that has arrived but is not read yet prevents the time-out.
    """

    CHECK_SECONDS = 0.1

    def __init__(self, seconds: float, connection: Any = None) -> None:
        self.connection = connection
        self.checks_left = max(1, round(seconds / self.CHECK_SECONDS))
        self.timeout = Timeout()
        self.timer = get_hub().loop.timer(self.CHECK_SECONDS, self.CHECK_SECONDS)

    def __enter__(self) -> None:
        # The loop's clock does not advance while a greenlet is busy.
        self.timer.start(self._check, getcurrent(), update=True)

    def __exit__(self, *_: object) -> None:
        self.timer.stop()
        self.timer.close()

    def _check(self, waiting: Any) -> None:
        self.checks_left -= 1
        if self.checks_left <= 0 and (self.connection is None or not _is_readable(self.connection)):
            waiting.throw(self.timeout)


def _run_limited(
    dialect: Any, seconds: float, connection: Any, what: str, work: Callable[[], R], waited: float = 0.0
) -> R:
    """Return what `work` returns; it asks the server. Raises the driver's OperationalError when no answer is in time.

    `waited` is the part of `seconds` that has passed before. The limit applies only in a gevent worker, since threads
    and commands may run long statements.
    """
    if not is_module_patched("socket"):
        return work()
    patience = _Patience(seconds - waited, connection)
    try:
        with patience:
            return work()
    except Timeout as error:
        if error is not patience.timeout:
            raise
    if hasattr(connection, "closed"):
        # The server may still answer the old statement, so psycopg's connection must not be used again. PyMySQL has
        # closed its connection by itself. It allows only one call of `close`, and SQLAlchemy makes that call.
        connection.close()
    raise _no_answer(dialect, seconds, what)


def _no_answer(dialect: Any, seconds: float, what: str) -> Any:
    # The text of a statement has placeholders instead of personal data.
    log.warning("the database said nothing for %.1f s: %s", seconds, " ".join(what[:80].split()))
    return dialect.loaded_dbapi.OperationalError(LOST_CONNECTION, NO_ANSWER)


def _is_readable(connection: Any) -> bool:
    """Return True if data has arrived or the server has closed the connection. Asks the kernel, not the server."""
    try:
        handle = connection.fileno()
        poller = get_original("select", "poll")()
        poller.register(handle, 1)
        return bool(poller.poll(0))
    except (OSError, ValueError, AttributeError):
        return True
