"""Runs statements on one PostgreSQL server with psycopg's cursor, on connections of a SQLAlchemy pool.

It is used with `FAST_PATHS=off`, in threads, and with library versions that the fast path does not know.
"""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from sqlalchemy import event
from sqlalchemy.engine import Engine

from swiper.db.driver_errors import close_unusable
from swiper.db.time_limits import TimeLimit
from swiper.fastpath.postgres_statements import (
    STALE_PLAN,
    Row,
    Step,
    WrittenStep,
    as_sqlalchemys,
    commit_by,
    is_lost,
    retry_stale_plan,
    rows_of,
    written,
)

# Runs statements on a connection of SQLAlchemy's pool.
Run = Callable[[Any, Sequence[WrittenStep]], list[list[Row]]]
# In a connection's `info`.
CURSOR = "cursor"


class StockPostgres:
    """A `StatementRunner` on the connections of an engine's pool."""

    def __init__(self, engine: Engine, main: Engine, *, seconds: float, keeps_settings: bool) -> None:
        """`engine` makes connections in autocommit, which have a time limit of `seconds` each.

        `main` is the engine of the transactions; disposing of it calls `close_idle`. `keeps_settings` is False behind
        PgBouncer.
        """
        self.engine, self.main = engine, main
        self.seconds, self.keeps_settings = seconds, keeps_settings
        if keeps_settings:
            event.listen(engine, "connect", _read_committed)

    def ask(self, *steps: Step) -> list[list[Row]]:
        """See `StatementRunner`."""
        return self._ask(steps, _run_together if len(steps) > 1 else _run_each)

    def commit(self, step: Step) -> list[Row]:
        """See `StatementRunner`."""
        return commit_by(self.ask, step, keeps_settings=self.keeps_settings)

    def read(self, *steps: Step) -> list[list[Row]]:
        """See `StatementRunner`. No transaction surrounds the statements. Each of them sees committed rows."""
        return self._ask(steps, _run_each)

    def close_idle(self, *_: Any) -> None:
        """See `StatementRunner`."""
        self.engine.dispose()

    def connect(self, waited: float) -> Any:
        """Return a new connection of the driver, which the caller owns. Raises DBAPIError.

        `waited` are the seconds that the caller has waited before. They count as time spent on connecting.
        """
        try:
            # Waiting and connecting share the limit.
            with TimeLimit(self.seconds - waited, psycopg.OperationalError):
                pooled = self._take()
        except psycopg.Error as error:
            raise as_sqlalchemys(error, self.engine) from error
        driver = pooled.driver_connection
        pooled.detach()
        return driver

    def _take(self) -> Any:
        try:
            return self.engine.raw_connection()
        except psycopg.Error as error:
            raise as_sqlalchemys(error, self.engine) from error

    def _ask(self, steps: Sequence[Step], run: Run) -> list[list[Row]]:
        return retry_stale_plan(lambda: self._try(steps, run))

    def _try(self, steps: Sequence[Step], run: Run) -> list[list[Row]]:
        sql, texts = steps[0][0].sql, written(steps)
        pooled = self._take()
        driver = pooled.driver_connection
        try:
            found: list[list[Row]] = run(pooled, texts)
        except psycopg.Error as error:
            lost = is_lost(error, driver.pgconn)
            # A transaction may still be open on this connection.
            pooled.invalidate()
            if not close_unusable(error, self.main) and error.sqlstate == STALE_PLAN:
                # The other connections of the pool have the same fault.
                self.engine.dispose()
            raise as_sqlalchemys(error, self.engine, sql, is_lost=lost) from error
        except BaseException:
            # An answer may still arrive on this connection.
            pooled.invalidate()
            raise
        pooled.close()
        return found


def _read_committed(driver: Any, _record: Any) -> None:
    """Let statements see committed rows, whatever the server's default isolation level is."""
    driver.execute("SET default_transaction_isolation TO 'read committed'")


def _run_each(pooled: Any, steps: Sequence[WrittenStep]) -> list[list[Row]]:
    # To make a cursor costs a fifth of a statement, so each connection keeps one.
    cursor = pooled.info.get(CURSOR)
    if cursor is None:
        cursor = pooled.info[CURSOR] = psycopg.RawCursor(pooled.driver_connection)
    return [_rows(_execute(cursor, step), step) for step in steps]


def _run_together(pooled: Any, steps: Sequence[WrittenStep]) -> list[list[Row]]:
    driver = pooled.driver_connection
    with driver.pipeline():
        cursors = [_execute(psycopg.RawCursor(driver), step) for step in steps]
    return [_rows(cursor, step) for cursor, step in zip(cursors, steps, strict=True)]


def _execute(cursor: psycopg.RawCursor[Any], step: WrittenStep) -> psycopg.RawCursor[Any]:
    statement, texts = step
    values = None if texts is None else [None if text is None else text.decode() for text in texts]
    return cursor.execute(statement.sql, values)


def _rows(cursor: psycopg.RawCursor[Any], step: WrittenStep) -> list[Row]:
    return rows_of(cursor.pgresult, step[0])
