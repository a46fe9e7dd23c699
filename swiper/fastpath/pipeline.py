"""Several statements to PostgreSQL in one round trip, by libpq's pipeline mode, each prepared once per connection.

SQLAlchemy's and psycopg's cursors cost a worker ten times what such a statement costs the server.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

import psycopg
from gevent.monkey import get_original
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from sqlalchemy.engine import Engine

from swiper.fastpath.postgres_statements import (
    COMMIT,
    GOOD,
    Row,
    Statement,
    WrittenStep,
    as_sqlalchemys,
    is_lost,
    leave_out_row,
    rows_of,
)

# What is answered: a statement that is run, or (False) prepared.
Asked = tuple["Statement", bool]
# The same with libpq's result.
Answer = tuple["Statement", bool, Any]
READABLE = 1


def at_mark(asked: Sequence[Asked], mark: Any) -> list[Answer]:
    """The error that stands in the place of the mark behind what was sent together, if one does.

    Without a COMMIT before it, that is where the server commits; if it cannot, it says so there.
    """
    statement, is_run = asked[-1]
    is_told = mark.status != ExecStatus.PIPELINE_SYNC and statement is not COMMIT
    return [(statement, is_run, mark)] if is_told else []


class Pipeline:
    """One of the driver's connections in pipeline mode, with what is prepared on it."""

    def __init__(self, driver: Any, engine: Engine, is_preparing: bool) -> None:
        """`is_preparing` is False behind PgBouncer, where a prepared statement may be another server connection's."""
        self.driver = driver
        self.libpq = driver.pgconn
        self.engine = engine
        self.is_preparing = is_preparing
        self.prepared: set[bytes] = set()
        self.libpq.enter_pipeline_mode()
        # gevent's would let other greenlets run, which may want this connection as well.
        self.poller = get_original("select", "poll")()
        self.poller.register(self.libpq.socket, READABLE)

    def fileno(self) -> int:
        """Return the number of its socket."""
        return int(self.libpq.socket)

    def is_readable(self) -> bool:
        """True when something has arrived; while idle, only after the server has hung up. Asks the kernel."""
        return self.libpq.status != ConnStatus.OK or bool(self.poller.poll(0))

    def close(self) -> None:
        """Close the connection; the server rolls back what was not committed."""
        self.driver.close()

    def send(self, steps: Sequence[WrittenStep]) -> list[Asked]:
        """Begin to send; return what will be answered, in its order."""
        libpq, prepared = self.libpq, self.prepared
        asked = []
        for statement, texts in steps:
            if not self.is_preparing:
                libpq.send_query_params(statement.encoded, texts)
            else:
                if statement.name not in prepared:
                    # Behind what comes before it: to prepare anything else settles the isolation that BEGIN asks for.
                    libpq.send_prepare(statement.name, statement.encoded)
                    # Should that fail, the whole connection is given up.
                    prepared.add(statement.name)
                    asked.append((statement, False))
                libpq.send_query_prepared(statement.name, texts)
            asked.append((statement, True))
        return asked

    def rows(self, answers: Sequence[Answer]) -> list[list[Row]]:
        """Return the rows of each statement that was run. Raises DBAPIError where anything was refused."""
        for statement, _, result in answers:
            if result.status not in GOOD:
                self._fail(statement, error_from_result(result))
        return [rows_of(result, statement) for statement, is_run, result in answers if is_run]

    def _fail(self, statement: Statement, error: psycopg.Error) -> NoReturn:
        leave_out_row(error)
        lost = is_lost(error, self.libpq)
        raise as_sqlalchemys(error, self.engine, statement.sql, is_lost=lost) from error
