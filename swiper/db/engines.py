"""Database engines that never freeze a worker: SQLite's locks, and servers that do not answer."""

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
# What SQLite keeps saying on a connection that was made while the file, or its disk, could not be written to.
SQLITE_STUCK = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
# PyMySQL's number for a connection that was lost during a query.
LOST_CONNECTION = 2013


def engine_options(url: str, config: dict[str, Any]) -> dict[str, Any]:
    """Options of `create_engine` that suit the database behind `url`."""
    # Parameters are people's data, and have no place in the text of an error.
    options: dict[str, Any] = {"hide_parameters": True}
    if url.startswith("sqlite"):
        # Waiting inside the driver would freeze every greenlet of the process; `_retry_while_busy` waits instead.
        return options | {"connect_args": {"timeout": 0, "isolation_level": None, "check_same_thread": False}}
    connect_args: dict[str, Any] = {}
    if not is_module_patched("socket"):
        # In a gevent worker `_limited_beginning` sees to it; the drivers would count the worker's own lateness.
        connect_args["connect_timeout"] = config["DATABASE_CONNECT_TIMEOUT_SECONDS"]
    if url.startswith("postgresql") and config["DATABASE_BEHIND_PGBOUNCER"]:
        connect_args["prepare_threshold"] = None
    return options | {
        "connect_args": connect_args,
        "isolation_level": "READ COMMITTED",
        "pool_recycle": 1800,
        "pool_size": config["DATABASE_POOL_SIZE"],
        "max_overflow": max(0, config["DATABASE_MAX_OVERFLOW"] - _kept(url, config)),
        "pool_timeout": config["DATABASE_POOL_TIMEOUT_SECONDS"],
    }


def _kept(url: str, config: dict[str, Any]) -> int:
    """How many of the connections that a process may open are kept for single statements."""
    if not url.startswith("postgresql"):
        return 0
    kept: int = min(config["DATABASE_POOL_SIZE"], config["DATABASE_MAX_OVERFLOW"])
    return max(MIN_CONNECTIONS, kept)


def init_app(app: Flask) -> None:
    """Attach the events to every engine, replicas included."""
    with app.app_context():
        for engine in db.engines.values():
            if engine.dialect.name == "sqlite":
                _prepare_sqlite(engine)
            else:
                _prepare_server(engine, app.config["DATABASE_STATEMENT_SECONDS"])
                _leave_moved_server(engine)
                _keep_rows_out_of_errors(engine)
        if db.engine.dialect.name == "postgresql":
            app.extensions["quick_lane"] = _single_statements(db.engine, app.config)


def _single_statements(engine: Engine, config: dict[str, Any]) -> StatementRunner:
    """The way of single statements to a PostgreSQL server, with connections of its own."""
    seconds = config["DATABASE_STATEMENT_SECONDS"]
    size = _kept("postgresql", config)
    options = engine_options(engine.url.drivername, config) | {
        "isolation_level": "AUTOCOMMIT",
        "pool_size": size,
        "max_overflow": 0,
        "pool_reset_on_return": None,
    }
    kept = create_engine(engine.url, **options)
    _prepare_server(kept, seconds)
    _leave_moved_server(kept)
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

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A deferred transaction that reads and then writes may fail in a way that waiting cannot mend.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_in_transaction() else "BEGIN")

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        _retry_while_busy(cursor.execute, statement, parameters)
        return True

    @event.listens_for(engine, "do_execute_no_params")
    def execute_no_params(cursor: Any, statement: str, _context: Any) -> bool:
        _retry_while_busy(cursor.execute, statement)
        return True

    @event.listens_for(engine, "handle_error")
    def renew(context: Any) -> None:
        # A new connection finds out whether the file can be written to again, but for as long as any old one of this
        # process is open, SQLite shares with it what it knows of the file (os_unix.c).
        if getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF in SQLITE_STUCK:
            context.is_disconnect = True
            cursor = getattr(context.execution_context, "cursor", None)
            if cursor is not None:
                # The exception still holds it, and a connection with a live cursor stays open after it was closed.
                cursor.close()
            engine.dispose()


def _retry_while_busy(execute: Callable[..., Any], *args: Any) -> None:
    """Call `execute` until SQLite's single write lock is free, sleeping in a way that lets other greenlets run."""
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
    """Give each statement `seconds` in a gevent worker, and notice a closed connection before it is used.

    psycopg cannot limit how long it waits for a server that accepts but does not answer; PyMySQL can, but alike for
    web requests and for the long statements of tasks.
    """
    dialect = engine.dialect
    if dialect.driver == "pymysql":

        @event.listens_for(engine, "do_connect")
        def connect(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
            return SharedTlsConnection(*args, **parameters)

    @event.listens_for(engine, "checkout")
    def refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
        if _is_readable(connection):
            # Idle, it is readable only after the server has hung up. The pool makes a new connection and asks again.
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

    # No event can take the place of these three.
    for name in ("do_commit", "do_rollback"):
        setattr(dialect, name, _limited_ending(dialect, seconds, name))
    vars(engine)["raw_connection"] = _limited_beginning(engine, seconds)


def _copy(cursor: Any, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    """Run a COPY of psycopg's, which takes its rows one by one while the server is at work on those before."""
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _leave_moved_server(engine: Engine) -> None:
    """Throw every connection away, those for single statements as well, once a server says that it takes no work."""

    @event.listens_for(engine, "handle_error")
    def leave(context: Any) -> None:
        if is_server_moved(context.original_exception):
            context.is_disconnect = True
            # The event `engine_disposed` closes those for single statements.
            engine.dispose()


def _keep_rows_out_of_errors(engine: Engine) -> None:
    """PostgreSQL quotes the whole row that it refuses, birthday and all, and errors are logged."""

    @event.listens_for(engine, "handle_error")
    def forget_row(context: Any) -> None:
        diagnosis = getattr(context.original_exception, "diag", None)
        if diagnosis is not None and diagnosis.message_detail and context.sqlalchemy_exception is not None:
            kind = type(context.original_exception)
            leave_out_row(context.original_exception)
            context.sqlalchemy_exception.args = (f"({kind.__module__}.{kind.__name__}) {diagnosis.message_primary}",)


def _limited_beginning(engine: Engine, seconds: float) -> Callable[[], Any]:
    """The engine's `raw_connection` under the limit of a statement.

    So waiting for a free place in the pool, connecting, and all that SQLAlchemy and the driver ask a new connection
    share one limit.
    """
    begin = engine.raw_connection

    def begin_limited() -> Any:
        return _run_limited(engine.dialect, seconds, None, "connect", begin)

    return begin_limited


def _limited_ending(dialect: Any, seconds: float, name: str) -> Callable[[Any], None]:
    """The dialect's `do_commit` or `do_rollback` under the limit of a statement."""
    end: Callable[[Any], None] = getattr(dialect, name)

    def end_limited(connection: Any) -> None:
        # The session passes the pool's proxy, the pool the driver's own connection.
        own = getattr(connection, "dbapi_connection", connection)
        _run_limited(dialect, seconds, own, name, lambda: end(connection))

    return end_limited


class SharedTlsConnection(PyMySQLConnection):  # type: ignore[misc]
    """PyMySQL's connection. Those that take TLS where the server offers it share one context.

    PyMySQL makes one for each, which reads all certificates of the system: 40 ms (measured with 1.2) in which a worker
    does nothing else, ten times as long as all the rest of connecting.
    """

    offered_tls: ClassVar[Any] = None

    def fileno(self) -> int:
        """The number of its socket, as psycopg's connections tell it. Raises AttributeError where it is closed."""
        return int(self._sock.fileno())

    def _create_ssl_ctx(self, sslp: Any) -> Any:
        if sslp:
            return super()._create_ssl_ctx(sslp)
        kind = type(self)
        kind.offered_tls = kind.offered_tls or super()._create_ssl_ctx({})
        return kind.offered_tls


class _Patience:
    """Raises `Timeout` in the greenlet that waits inside, once the server has said nothing for `seconds`.

    Counted are moments at which this process was free to read an answer: one that is busy itself must not take its own
    lateness for the server's. Without a `connection` nothing is known of an answer that has come but is not yet read.
    """

    CHECK_SECONDS = 0.1

    def __init__(self, seconds: float, connection: Any = None) -> None:
        self.connection = connection
        self.checks_left = max(1, round(seconds / self.CHECK_SECONDS))
        self.timeout = Timeout()
        self.timer = get_hub().loop.timer(self.CHECK_SECONDS, self.CHECK_SECONDS)

    def __enter__(self) -> None:
        # The loop's own clock stands still while a greenlet is busy.
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
    """The result of `work`, which asks the server; raises the driver's OperationalError when no answer comes in time.

    `waited` are those of the `seconds` that are spent already.
    Only in a gevent worker: in threads and commands long statements are at home.
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
        # Whatever the server still sends belongs to a statement that nobody waits for any more. PyMySQL has closed its
        # connection by itself, and SQLAlchemy closes it again, which it does not bear more than once.
        connection.close()
    raise _no_answer(dialect, seconds, what)


def _no_answer(dialect: Any, seconds: float, what: str) -> Any:
    # A statement has placeholders in place of people's data.
    log.warning("the database said nothing for %.1f s: %s", seconds, " ".join(what[:80].split()))
    return dialect.loaded_dbapi.OperationalError(LOST_CONNECTION, NO_ANSWER)


def _is_readable(connection: Any) -> bool:
    """True when something has arrived or the server has hung up. Asks the kernel, not the server."""
    try:
        handle = connection.fileno()
        poller = get_original("select", "poll")()
        poller.register(handle, 1)
        return bool(poller.poll(0))
    except (OSError, ValueError, AttributeError):
        return True
