"""A connection whose reads all belong to one moment, whatever others write meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from swiper.extensions import db


@contextmanager
def snapshot() -> Iterator[Connection]:
    """Yield a connection of its own, in a transaction that sees what was committed at its first read."""
    # SQLite's transactions are like this anyway, and it has no such level.
    level = {} if db.engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with db.engine.connect().execution_options(**level) as connection:
        yield connection
