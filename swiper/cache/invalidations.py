"""Removes cached values when the database changes: at once if the cache is available, and once more some seconds later.

Whoever changes something calls `invalidate_after_commit` in the same transaction. See `pending` for how all processes
know.
"""

import logging
from collections.abc import Callable
from datetime import datetime

from swiper.cache import pending
from swiper.cache.pending import SHARED
from swiper.cache.values import invalidate
from swiper.db.transactions import after_commit

log = logging.getLogger(__name__)

# What is cached of a user, and the sessions of somebody who is locked out or gone.
ACCOUNT = "account"
SESSIONS = "sessions"

# By name: drops what is cached of a user under it; False where that could not be done now.
Remover = Callable[[int], bool]
_removers: dict[str, Remover] = {}


def remover(name: str) -> Callable[[Remover], Remover]:
    """Register the decorated function as the one that drops `name`."""

    def register(remove: Remover) -> Remover:
        _removers[name] = remove
        return remove

    return register


def invalidate_after_commit(uid: int, *names: str) -> None:
    """From the commit of the running transaction on, nobody uses what is cached of a user under `names`.

    This process knows at once, the others within `LOCAL_REFRESH_SECONDS`, whatever the cache does.
    """
    pending.add(uid, *names)
    for name in names:
        after_commit(lambda name=name: _remove(uid, name))  # type: ignore[misc]


def invalidate_shared_after_commit(*keys: str) -> None:
    """The same for what is cached once for all users, by its key in the cache."""
    invalidate_after_commit(SHARED, *keys)


def _remove(uid: int, name: str) -> bool:
    """Drop a cached value; False where that could not be done now."""
    if uid == SHARED:
        return invalidate(name)
    remove = _removers.get(name)
    # Another release may have added it, and knows what to do.
    return remove is not None and remove(uid)


def finish(uid: int, name: str, limit: datetime) -> bool:
    """Drop a value for good, then its rows up to `limit`; False where the cache does not let us yet."""
    if not _remove(uid, name):
        return False
    pending.drop(uid, name, limit)
    return True
