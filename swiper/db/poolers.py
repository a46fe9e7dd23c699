"""Finds out whether a pooler such as PgBouncer gives each transaction another connection to PostgreSQL."""

from contextlib import closing
from typing import Any

import psycopg
from psycopg.errors import DuplicatePreparedStatement, InvalidSqlStatementName
from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from swiper.fastpath.postgres_statements import as_sqlalchemys


def loses_prepared_statements(url: URL) -> bool:
    """Return True if a statement that a connection has prepared may be missing in its next transaction.

    PgBouncer before 1.21 does so in transaction mode, and later ones with `max_prepared_statements = 0`. Other
    databases than PostgreSQL lose nothing. Raises SQLAlchemy's errors.
    """
    if url.get_backend_name() != "postgresql":
        return False
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    try:
        with closing(engine.raw_connection()) as first, closing(engine.raw_connection()) as second:
            return _loses(first.driver_connection, second.driver_connection)
    except psycopg.Error as error:
        raise as_sqlalchemys(error, engine) from error


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
