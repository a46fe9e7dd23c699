"""Reads that may come from a replica."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from swiper.db.transactions import is_in_transaction
from swiper.extensions import REPLICA_KEY, db


@contextmanager
def replica_reads() -> Iterator[None]:
    """Let reads inside use one replica, which may lag. Do not use it for "was I liked" or right after a write."""
    engines = [engine for key, engine in db.engines.items() if key and key.startswith("replica")]
    session: Session = db.session()
    if not engines or is_in_transaction():
        yield
        return
    session.rollback()
    session.info[REPLICA_KEY] = random.choice(engines)
    try:
        yield
    finally:
        session.rollback()
        del session.info[REPLICA_KEY]
