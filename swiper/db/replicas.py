"""Reads that may come from a replica, which may lag; each falls back to the primary within the request.

Nobody's own data after a write is read so, and neither is "was I liked" nor what somebody has swiped.
"""

import logging
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from swiper.db.replica_lag import Replica
from swiper.db.statements import Row, Step, read
from swiper.db.transactions import is_in_transaction
from swiper.extensions import REPLICA_USED, db, reading_replica, this_app
from swiper.tallies import Tally, tallies

log = logging.getLogger(__name__)

R = TypeVar("R")

# Where a read that may lag was answered: by a replica; by the primary, since no replica was fresh enough; by the
# primary, since the replica has failed.
SERVED, STALE, FAILED = "replica", "stale", "failed"


def replicas_of_app() -> Sequence[Replica]:
    """Return the replicas of the current application."""
    found: Sequence[Replica] = this_app().extensions["replicas"]
    return found


def read_lagging(lagging: Sequence[Step], exact: Sequence[Step] = ()) -> list[list[Row]]:
    """Do what `read` does, where the statements of `lagging` may be answered by a replica, and those of `exact` not.

    The rows of `lagging` come first. Without replicas it is one `read` of all.
    """
    if not replicas_of_app():
        return read(*lagging, *exact)
    found = on_replica(lambda: read(*lagging))
    return found + read(*exact) if exact else found


def on_replica(function: Callable[[], R], as_of: float | None = None) -> R:
    """Return what `function` returns, whose reads one replica may answer. It may lag DATABASE_REPLICA_LAG_SECONDS.

    With `as_of`, a moment on the monotonic clock, the replica has all that was committed before that moment. If none
    is fresh enough, or the replica fails, the primary answers; so `function` must be safe to repeat. Inside a
    transactional service the primary answers.
    """
    if not replicas_of_app() or is_in_transaction() or reading_replica.get() is not None:
        return function()
    replica = _pick(as_of)
    if replica is None:
        return function()
    token = reading_replica.set(replica.database)
    try:
        found = function()
    except (DBAPIError, PoolTimeoutError) as error:
        replica.leave(error)
    else:
        tallies[f"{Tally.REPLICA_READS}{SERVED}"] += 1
        return found
    finally:
        reading_replica.reset(token)
        if db.has_session() and db.session.info.pop(REPLICA_USED, None):
            db.session.rollback()
    tallies[f"{Tally.REPLICA_READS}{FAILED}"] += 1
    return function()


def _pick(as_of: float | None) -> Replica | None:
    replicas = replicas_of_app()
    for replica in random.sample(replicas, len(replicas)):
        if replica.is_fresh(as_of):
            return replica
    tallies[f"{Tally.REPLICA_READS}{STALE}"] += 1
    return None
