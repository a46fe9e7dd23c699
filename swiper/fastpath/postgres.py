"""Runs statements on the PostgreSQL connections that a gevent worker's greenlets share. See `docs/fastpath.md`."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

import psycopg
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from swiper.fastpath.connection_holder import ConnectionHolder
from swiper.fastpath.connection_pool import ConnectionPool
from swiper.fastpath.pipeline import Pipeline
from swiper.fastpath.postgres_connections import LateError, LostError, PostgresConnection, WritingConnection
from swiper.fastpath.postgres_statements import (
    Row,
    StatementRunner,
    Step,
    as_sqlalchemys,
    commit_by,
    retry_stale_plan,
    written,
)
from swiper.outages import is_server_moved

C = TypeVar("C", bound=PostgresConnection)

# The shared connection, and its successor while greenlets still wait on the old one.
FOR_READING = 2
# The connections for reading, and one for writing.
MIN_CONNECTIONS = FOR_READING + 1


class SharedPostgres:
    """A `StatementRunner` whose greenlets share one connection for reading and use those of a pool for writing.

    Threads other than the worker's own use `stock`.
    """

    def __init__(
        self,
        stock: StatementRunner,
        engine: Engine,
        connect: Callable[[float], Any],
        *,
        size: int,
        wait_seconds: float,
        seconds: float,
        is_preparing: bool,
        no_answer: Callable[[], Exception],
    ) -> None:
        """`connect` returns a new connection of the driver, which the caller owns. It may raise DBAPIError.

        It gets the number of seconds that its greenlet has waited; they count as time spent on connecting. At most
        `size` connections are made; `size` must be MIN_CONNECTIONS or more. A greenlet waits `wait_seconds` for a free
        connection and `seconds` for an answer. `is_preparing` is False behind PgBouncer. `no_answer` makes the error
        of a statement that got no answer.
        """
        self.stock, self.engine, self.connect = stock, engine, connect
        self.size, self.wait_seconds, self.seconds = size, wait_seconds, seconds
        self.is_preparing, self.no_answer = is_preparing, no_answer
        # The number of open connections.
        self.count = 0
        self.holder = ConnectionHolder(lambda: self._open(PostgresConnection))

    @cached_property
    def pool(self) -> ConnectionPool[WritingConnection]:
        """The connections for statements that write. It belongs to the greenlets of the first caller's thread."""
        why = f"no connection became free in {self.wait_seconds} s"
        size = self.size - FOR_READING
        return ConnectionPool(self._open_writing, size, self.wait_seconds, lambda: PoolTimeoutError(why))

    def ask(self, *steps: Step) -> list[list[Row]]:
        """See `StatementRunner`."""
        if not self.holder.is_of_this_thread():
            return self.stock.ask(*steps)
        return retry_stale_plan(lambda: self._ask(*steps))

    def commit(self, step: Step) -> list[Row]:
        """See `StatementRunner`."""
        return commit_by(self.ask, step, keeps_settings=self.is_preparing)

    def read(self, *steps: Step) -> list[list[Row]]:
        """See `StatementRunner`."""
        if not self.holder.is_of_this_thread():
            return self.stock.read(*steps)
        try:
            return self.holder.get().ask(*steps)
        except LateError as error:
            raise self._too_late(steps) from error
        except LostError:
            # Another request may have caused the error. Alone, this one gets its rows or its own error.
            return self.ask(*steps)

    def close_idle(self, *_: Any) -> None:
        """See `StatementRunner`."""
        self.stock.close_idle()
        self.holder.close()
        if "pool" in self.__dict__:
            self.pool.renew()

    def _ask(self, *steps: Step) -> list[list[Row]]:
        try:
            request = self.pool.call(written(steps))
        except LateError as error:
            raise self._too_late(steps) from error
        except LostError as error:
            lost = psycopg.OperationalError(str(error))
            raise as_sqlalchemys(lost, self.engine, steps[0][0].sql, is_lost=True) from error
        try:
            return cast(WritingConnection, request.connection).pipeline.rows(request.answers)
        except DBAPIError as error:
            if is_server_moved(error.orig):
                # The engine's own connections go to the same server. Disposing of the engine also calls `close_idle`.
                self.engine.dispose()
            elif error.connection_invalidated:
                # The other connections may have the same fault.
                self.close_idle()
            raise

    def _open_writing(self, waited: float) -> WritingConnection:
        return self._open(lambda *options: WritingConnection(self.pool, *options), waited)

    def _open(self, make: Callable[[Pipeline, float, Callable[[Pipeline], None]], C], waited: float = 0.0) -> C:
        driver = self.connect(waited)
        self.count += 1
        try:
            return make(Pipeline(driver, self.engine, self.is_preparing), self.seconds, self._ended)
        except BaseException:
            self.count -= 1
            driver.close()
            raise

    def _ended(self, pipeline: Pipeline) -> None:
        self.count -= 1
        pipeline.close()

    def _too_late(self, steps: Sequence[Step]) -> Any:
        sql = steps[0][0].sql
        return as_sqlalchemys(self.no_answer(), self.engine, sql, is_lost=True)
