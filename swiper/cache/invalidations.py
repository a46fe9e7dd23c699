"""Removes cached values when the database changes: at once if the cache is available, and once more some seconds later.

A service that changes data calls `invalidate_after_commit` in the same transaction. The module `pending` tells all
processes.
"""

import logging
from collections.abc import Callable
from datetime import datetime

from swiper.cache import pending
from swiper.cache.pending import SHARED
from swiper.cache.values import invalidate
from swiper.db.transactions import after_commit

log = logging.getLogger(__name__)

# Names: a user's cached account, and the sessions of a user who is locked out or deleted.
ACCOUNT = "account"
SESSIONS = "sessions"

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
    pending.add(uid, *names)
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


def finish(uid: int, name: str, limit: datetime) -> bool:
    """Remove a cached value, then its rows up to `limit`. Return False if the value could not be removed now."""
    if not _remove(uid, name):
        return False
    pending.drop(uid, name, limit)
    return True
