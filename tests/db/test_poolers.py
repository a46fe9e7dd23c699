"""Whether prepared statements get lost is tried, and a server without a pooler is not suspected."""

from types import SimpleNamespace
from typing import Any

import pytest
from psycopg.errors import DuplicatePreparedStatement, InvalidSqlStatementName

from swiper.db.poolers import _loses


class Connection:
    """A connection to a pooler. What another one asks takes the server's connection that it has used before."""

    def __init__(self, pid: int, *, error: Exception | None = None) -> None:
        self.info = SimpleNamespace(backend_pid=7)
        self.pid, self.error, self.asked = pid, error, 0
        self.autocommit = False

    def execute(self, _sql: str, *, prepare: bool) -> Any:
        assert self.autocommit or not prepare
        self.asked += prepare
        if self.asked == 2 and self.error is not None:
            raise self.error
        return SimpleNamespace(fetchone=lambda: (self.pid,))


@pytest.mark.parametrize(
    ("connection", "is_lost"),
    [
        (Connection(7), False),
        (Connection(8), False),
        (Connection(8, error=InvalidSqlStatementName()), True),
        (Connection(8, error=DuplicatePreparedStatement()), True),
    ],
)
def test_a_pooler_that_loses_prepared_statements_is_found(connection: Connection, is_lost: bool) -> None:
    assert _loses(connection, Connection(9)) is is_lost
    # Without a pooler nothing is prepared.
    assert (connection.asked == 0) is (connection.pid == 7)
