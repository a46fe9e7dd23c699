"""Removes cached values when the database changes: at once if the cache is available, and once more some seconds later.

A service that changes data calls `invalidate_after_commit` in the same transaction, which adds a row for all processes
(see `values`).
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from swiper.cache import queries
from swiper.cache.models import SHARED
from swiper.cache.values import invalidate, remember_change
from swiper.clock import now
from swiper.db.transactions import after_commit, transactional
from swiper.extensions import db

log = logging.getLogger(__name__)

# Names: a user's cached account, and the sessions of a user who is locked out or deleted.
ACCOUNT = "account"
SESSIONS = "sessions"
# After a restart, Redis may lack the writes of its last second or two, or those that a replica had not received.
SETTLE_SECONDS = 10.0
# One sweep takes at most this number of rows. The next sweep takes the others.
BATCH = 500

# Takes a user id and removes one cached value of this user. Returns False if that was not possible now.
Remover = Callable[[int], bool]
_removers: dict[str, Remover] = {}


def remover(name: str) -> Callable[[Remover], Remover]:
    """Register the decorated function as the one that removes the cached value `name` of a user."""

    def register(remove: Remover) -> Remover:
        _removers[name] = remove
        return remove

    return register


def invalidate_after_commit(uid: int, *names: str) -> None:
    """Invalidate the cached values `names` of a user when the running transaction commits.

    This process stops using them at once, and the others within `LOCAL_REFRESH_SECONDS`, even if the cache is not
    available.
    """
    queries.add_invalidations(uid, names)
    after_commit(lambda: remember_change(uid, names))
    for name in names:
        after_commit(lambda name=name: _remove(uid, name))  # type: ignore[misc]


def invalidate_shared_after_commit(*keys: str) -> None:
    """Do the same for values that are cached once for all users, by their keys in the cache."""
    invalidate_after_commit(SHARED, *keys)


def _remove(uid: int, name: str) -> bool:
    """Remove a cached value. Return False if that was not possible now."""
    if uid == SHARED:
        return invalidate(name)
    remove = _removers.get(name)
    # A process of another release may have added the row, and has a function for this name.
    return remove is not None and remove(uid)


def settled() -> list[tuple[int, str, datetime]]:
    """Return the user id and name of values whose rows are older than SETTLE_SECONDS, with the time of that limit."""
    limit = now() - timedelta(seconds=SETTLE_SECONDS)
    items = queries.invalidations_until(limit, BATCH)
    db.session.rollback()
    return [(uid, name, limit) for uid, name in dict.fromkeys(items)]


def finish(uid: int, name: str, limit: datetime) -> bool:
    """Remove a cached value, then its rows up to `limit`. Return False if the value could not be removed now."""
    if not _remove(uid, name):
        return False
    _delete_rows(uid, name, limit)
    return True


_delete_rows = transactional(queries.delete_invalidations)
