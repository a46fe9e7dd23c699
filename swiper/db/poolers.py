"""Finds out whether a pooler such as PgBouncer gives each transaction another connection to PostgreSQL."""

from contextlib import closing
from typing import Any

from psycopg.errors import DuplicatePreparedStatement, InvalidSqlStatementName
from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool


def loses_prepared_statements(url: URL) -> bool:
    """Return True if a statement that a connection has prepared may be missing in its next transaction.

    PgBouncer before 1.21 does so in transaction mode, and later ones with `max_prepared_statements = 0`. Raises
    SQLAlchemy's and psycopg's errors.
    """
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    with closing(engine.raw_connection()) as first, closing(engine.raw_connection()) as second:
        return _loses(first.driver_connection, second.driver_connection)


def _loses(connection: Any, other: Any) -> bool:
    connection.autocommit = True
    (pid,) = connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone()
    if pid == connection.info.backend_pid:
        # The server itself has answered.
        return False
    try:
        connection.execute("SELECT 1", prepare=True)
        # Its transaction takes the server's connection that is free now.
        other.execute("SELECT 1", prepare=False)
        connection.execute("SELECT 1", prepare=True)
    except (InvalidSqlStatementName, DuplicatePreparedStatement):
        return True
    return False
