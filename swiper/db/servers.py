"""PostgreSQL and MariaDB: connections whose waiting has a limit, and statements on psycopg's cursor."""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import psycopg
from gevent.monkey import is_module_patched
from gevent.socket import wait_read, wait_readwrite, wait_write
from psycopg.waiting import Ready, Wait
from pymysql.err import OperationalError  # type: ignore[import-untyped]
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool

from swiper.db.hosts import connect_in_turn, has_several_hosts
from swiper.db.liveness import exhaust_while_alive
from swiper.db.mariadb import LimitedPyMySQL, end_transactions
from swiper.db.sql import IN_LIST, NAME, SERVER_READERS, Kind, Values, names_in, plain_value, reads_of
from swiper.db.time_limits import TimeLimit, is_readable
from swiper.db.upsert import COPIED_ROWS
from swiper.outages import is_silence
from swiper.tallies import count_pool_wait

# By what a generator of psycopg waits for: how to wait, and what is ready then.
WAITS = {Wait.R: wait_read, Wait.W: wait_write, Wait.RW: wait_readwrite}
READY = {Wait.R: Ready.R, Wait.W: Ready.W, Wait.RW: Ready.RW}
# Several hosts share this part of the time limit of a new connection. The rest is for its first statements.
CONNECTING_PART = 0.9


def prepare_server(engine: Engine, seconds: float, *, may_lag: bool = False) -> None:
    """Limit each statement to `seconds` in a gevent worker, and replace closed connections before they are used.

    `may_lag` is for a replica, whose reads need not see what was committed elsewhere.
    """
    is_pymysql = engine.dialect.driver == "pymysql"
    limited = partial(LimitedPyMySQL, limit_seconds=seconds, may_lag=may_lag)
    connect = limited if is_pymysql else LimitedPsycopg.of(seconds).connect

    @event.listens_for(engine, "do_connect")
    def connect_limited(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
        return connect(*args, **parameters)

    @event.listens_for(engine, "checkout")
    def refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
        # `pool_pre_ping` would ask the server, which is a round trip.
        if is_readable(connection):
            # An idle connection is readable only after the server has closed it. The pool then makes a new one.
            raise DisconnectionError("the server has closed this connection")

    if is_pymysql:
        end_transactions(engine)
    else:
        _copy_rows(engine)


def _copy_rows(engine: Engine) -> None:
    """Let a statement with the option COPIED_ROWS send its rows with psycopg's COPY."""

    @event.listens_for(engine, "do_execute")
    def copy(cursor: psycopg.Cursor[Any], statement: str, _parameters: Any, context: Any) -> bool:
        rows: Iterable[Sequence[Any]] | None = context.execution_options.get(COPIED_ROWS)
        if rows is None:
            return False
        # The server stores the rows meanwhile.
        with cursor.copy(statement) as writing:
            for row in rows:
                writing.write_row(row)
        return True


class CountedPool(QueuePool):
    """SQLAlchemy's pool, which counts how often and how long somebody waits for a connection."""

    def _do_get(self) -> ConnectionPoolEntry:
        # Its method `empty` would take a lock.
        idle: Any = self._pool
        if self._overflow < self._max_overflow or idle.queue:
            return super()._do_get()
        began, is_served = time.monotonic(), False
        try:
            entry = super()._do_get()
            is_served = True
            return entry
        finally:
            count_pool_wait(time.monotonic() - began, is_served=is_served)


class LimitedPool(CountedPool):
    """SQLAlchemy's pool with a time limit; `of` makes the class for a driver and a limit.

    One limit covers waiting for a connection, connecting, and the first statements of SQLAlchemy on a new connection.
    """

    limit_seconds: ClassVar[float]
    limit_error: ClassVar[Callable[..., Exception]]

    @classmethod
    def of(cls, url: str, seconds: float) -> type[Self]:
        """Return the class for the driver of `url`, with a limit of `seconds`."""
        error = OperationalError if url.startswith("mysql") else psycopg.OperationalError
        return type(cls.__name__, (cls,), {"limit_seconds": seconds, "limit_error": error})

    def connect(self) -> PoolProxiedConnection:
        """Return a connection. Raises the driver's OperationalError when the server does not answer in time."""
        with TimeLimit(self.limit_seconds, self.limit_error):
            return super().connect()


class LimitedPsycopg(psycopg.Connection[Any]):
    """psycopg's connection with a time limit; `of` makes the class for a limit.

    In threads, which have no limit, a connection to one of several hosts is given up if its server is dead.
    """

    limit_seconds: ClassVar[float]
    is_one_of_several = False

    @classmethod
    def of(cls, seconds: float) -> type[Self]:
        """Return a class whose connections have a limit of `seconds` for connecting and for each statement."""
        return type(cls.__name__, (cls,), {"limit_seconds": seconds})

    @classmethod
    def connect(cls, conninfo: str = "", **parameters: Any) -> Self:
        """Connect. Raises OperationalError when the server does not answer in time, or none of several does."""
        connect = partial(super().connect, conninfo)
        with TimeLimit(cls.limit_seconds, psycopg.OperationalError):
            if not has_several_hosts(parameters):
                return connect(**parameters)
            made = connect_in_turn(connect, parameters, CONNECTING_PART * cls.limit_seconds)
        made.is_one_of_several = True
        return made

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **parameters: Any) -> Any:
        """Wait for what a statement, COMMIT or ROLLBACK brings; psycopg's cursors and transactions call this.

        `gen` yields what it waits for, and takes what is ready. In a gevent worker psycopg would wait by gevent's copy
        of `select.poll`, which costs more than the statement.
        """
        if not is_module_patched("select"):
            return self._wait_in_thread(gen, *args, **parameters)
        try:
            with TimeLimit(self.limit_seconds, psycopg.OperationalError, self):
                return _exhaust(gen, self.fileno())
        except psycopg.OperationalError as error:
            if is_silence(error):
                # The server may still answer the old statement.
                self.close()
            raise

    def _wait_in_thread(self, gen: Generator[Any, Any, Any], *args: Any, **parameters: Any) -> Any:
        if not self.is_one_of_several:
            return super().wait(gen, *args, **parameters)
        try:
            return exhaust_while_alive(gen, self)
        except psycopg.OperationalError as error:
            if is_silence(error):
                self.close()
            raise


def _exhaust(gen: Generator[Any, Any, Any], handle: int) -> Any:
    """Return what the generator returns. Other greenlets run while it waits for the file descriptor `handle`."""
    try:
        wanted = next(gen)
        while True:
            WAITS[wanted](handle)
            wanted = gen.send(READY[wanted])
    except StopIteration as end:
        return end.value


class OnPsycopg:
    """See `DriverStatement`."""

    together = None

    def __init__(self, sql: str, columns: Sequence[Kind]) -> None:
        """`sql` has parameters `:name` and lists `IN :name`."""
        self.names = names_in(sql)
        self.lists = names_in(sql, IN_LIST)
        self.text = NAME.sub(r"%(\1)s", IN_LIST.sub(r"= ANY(:\1)", sql))
        self.returns_rows = bool(columns)
        self.reads = reads_of(columns, SERVER_READERS)

    def run(self, connection: Any, values: Values, comment: str = "") -> list[Any]:
        """See `DriverStatement`."""
        bound = {name: plain_value(values[name]) for name in self.names}
        for name in self.lists:
            # psycopg writes no other sequence as an array.
            bound[name] = list(bound[name])
        cursor = connection.cursor()
        cursor.execute(self.text + comment, bound)
        return list(cursor.fetchall()) if self.returns_rows else []
