"""Sends several statements to PostgreSQL in one round trip, with libpq's pipeline mode.

Each statement without a comment is prepared once on a connection. The cursors of SQLAlchemy and psycopg would cost a
worker ten times as much CPU as such a statement costs the server.
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
    rows_of,
)

# A statement that will be answered: True if it is run, False if it is prepared.
Asked = tuple["Statement", bool]
# The same, with libpq's result.
Answer = tuple["Statement", bool, Any]
READABLE = 1


def at_mark(asked: Sequence[Asked], mark: Any) -> list[Answer]:
    """Return the error that has arrived instead of a synchronisation mark, as a list of one answer or none.

    Without a COMMIT before the mark, the server commits at the mark, and reports there if it cannot.
    """
    statement, is_run = asked[-1]
    is_told = mark.status != ExecStatus.PIPELINE_SYNC and statement is not COMMIT
    return [(statement, is_run, mark)] if is_told else []


class Pipeline:
    """A connection of the driver in pipeline mode, and the names of the statements that are prepared on it."""

    def __init__(self, driver: Any, engine: Engine, is_preparing: bool) -> None:
        """`is_preparing` is False behind PgBouncer, where the next statement may go to another server connection."""
        self.driver = driver
        self.libpq = driver.pgconn
        self.engine = engine
        self.is_preparing = is_preparing
        self.prepared: set[bytes] = set()
        self.libpq.enter_pipeline_mode()
        # gevent's `poll` would let other greenlets run, and these could use this connection.
        self.poller = get_original("select", "poll")()
        self.poller.register(self.libpq.socket, READABLE)

    def fileno(self) -> int:
        """Return the socket's file descriptor."""
        return int(self.libpq.socket)

    def is_readable(self) -> bool:
        """Return True if data has arrived or the connection is broken. Asks the kernel.

        On an idle connection, data arrives only when the server closes it.
        """
        return self.libpq.status != ConnStatus.OK or bool(self.poller.poll(0))

    def close(self) -> None:
        """Close the connection; the server rolls back what was not committed."""
        self.driver.close()

    def send(self, steps: Sequence[WrittenStep]) -> list[Asked]:
        """Start to send `steps`. Return the statements that will be answered, in their order."""
        libpq, prepared = self.libpq, self.prepared
        asked = []
        for statement, texts in steps:
            if not (self.is_preparing and statement.name):
                libpq.send_query_params(statement.encoded, texts)
            else:
                if statement.name not in prepared:
                    # It must not be prepared before BEGIN is sent, since that would fix the isolation level.
                    libpq.send_prepare(statement.name, statement.encoded)
                    # If preparing fails, the whole connection is closed.
                    prepared.add(statement.name)
                    asked.append((statement, False))
                libpq.send_query_prepared(statement.name, texts)
            asked.append((statement, True))
        return asked

    def rows(self, answers: Sequence[Answer]) -> list[list[Row]]:
        """Return the rows of each statement that was run. Raises DBAPIError if the server has refused anything."""
        for statement, _, result in answers:
            if result.status not in GOOD:
                self._fail(statement, error_from_result(result))
        return [rows_of(result, statement) for statement, is_run, result in answers if is_run]

    def _fail(self, statement: Statement, error: psycopg.Error) -> NoReturn:
        lost = is_lost(error, self.libpq)
        raise as_sqlalchemys(error, self.engine, statement.sql, is_lost=lost) from error
