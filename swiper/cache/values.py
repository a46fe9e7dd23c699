"""Values that are cached by key, and what this process knows to be out of date.

A write that changes a cached value deletes it from the cache. A cache may fail to delete a value, or restart with a
value that it had deleted. So the transaction that changes the value also adds a row to the table `invalidations`. While
the row exists, no process uses the cached value: the value is read from the database and is not stored. Each process
reads the rows at most once in `LOCAL_REFRESH_SECONDS`, when it needs them.
"""

import contextvars
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar

import gevent
import msgspec
from flask import Flask, current_app
from gevent.monkey import is_module_patched
from sqlalchemy.exc import SQLAlchemyError

from swiper.cache import queries
from swiper.cache.calls import AWAY_SECONDS, safe_call
from swiper.cache.models import SHARED
from swiper.clock import now
from swiper.db.transactions import is_in_transaction
from swiper.extensions import cache, this_app
from swiper.tallies import COPY, HIT, MISS, tallies

log = logging.getLogger(__name__)

T = TypeVar("T")

# Loading a value takes less than this.
MARK_SECONDS = 120
NO_ANSWER = object()
# With more rows than this, a process uses no cached value, and does not read all the rows each second.
MOST_PENDING = 10_000
# A transaction takes less than this between adding its row and its commit.
COMMIT_SECONDS = 120
# A request waits for the rows no longer than this. It may need its time for other things.
WAIT_SECONDS = 0.3

# The user id and the name of a value.
Item = tuple[int, str]


def get_or_load(key: str, load: Callable[[], T], seconds: int, kind: Any = Any) -> T:
    """Return the cached value of `key`, or else call `load` and cache its result for `seconds`. None is not cached.

    A value is stored as msgpack, which has only numbers, texts, bytes, times, lists and mappings. `kind` is the type to
    which a stored value is converted. A stored value that does not fit is loaded again.

    A reader that loads before a write and stores after the write's `invalidate` would leave an old value in the cache.
    So each `invalidate` writes a new mark. A reader compares the mark before loading with the mark after storing, and
    deletes its value if they differ.
    """
    if is_pending(SHARED, key):
        tallies[MISS] += 1
        return load()
    found: T | None = read_cached(key, kind)
    if found is not None:
        tallies[HIT] += 1
        return found
    tallies[MISS] += 1
    mark = safe_call("get", f"{key}:mark")
    value = load()
    if value is None or is_pending(SHARED, key) or not safe_call("set", key, value, timeout=seconds):
        return value
    # Without an answer, the mark may have changed.
    if safe_call("get", f"{key}:mark", failed=NO_ANSWER) != mark:
        safe_call("delete", key)
    return value


def read_cached(key: str, kind: Any = Any) -> Any:
    """Return the cached value of `key` as a `kind`, or None if there is none that fits."""
    found = safe_call("get", key)
    try:
        return None if found is None else msgspec.convert(found, kind)
    except msgspec.ValidationError:
        log.warning("a cached value is not what this release stores: %s", key)
        safe_call("delete", key)
        return None


def shared_key(key: str) -> str | None:
    """Return the name of `key` in the application's own Redis, or None if the cache is elsewhere."""
    return f"{this_app().config['CACHE_KEY_PREFIX']}{key}" if is_in_redis() else None


def is_in_redis() -> bool:
    """Return True if the cache is the application's own Redis."""
    extensions = this_app().extensions
    # This is what Flask-Caching's property returns, without its two proxies.
    return extensions.get("redis") is getattr(extensions["cache"][cache], "_write_client", None)


def get_or_load_shared(key: str, load: Callable[[], T], seconds: int, kind: Any = Any) -> T:
    """Do the same as `get_or_load` for a value that is the same for everyone and is read on every request.

    Each process keeps its own copy, and reads the cache again after `LOCAL_REFRESH_SECONDS`.
    """
    found: T | None = own_copy(key)
    return keep_copy(key, get_or_load(key, load, seconds, kind)) if found is None else found


def own_copy(key: str) -> Any:
    """Return this process's copy of `key`; None if it is older than `LOCAL_REFRESH_SECONDS` or known to be outdated."""
    app = this_app()
    kept: tuple[float, Any] | None = app.extensions.setdefault("local_copies", {}).get(key)
    if kept is None or time.monotonic() - kept[0] >= app.config["LOCAL_REFRESH_SECONDS"]:
        return None
    known = _up_to_date(app)
    if known.has((SHARED, key)) and kept[0] < known.looked_at:
        return None
    tallies[COPY] += 1
    return kept[1]


def keep_copy(key: str, value: T) -> T:
    """Keep `value` as this process's copy of `key`, and return it."""
    current_app.extensions.setdefault("local_copies", {})[key] = (time.monotonic(), value)
    return value


def invalidate(*keys: str) -> bool:
    """Delete `keys` after the commit of the write that changed their values. Return False if the cache failed once.

    Each key is deleted by its own call. cachelib's `delete_many` checks that the keys are gone, and reports an error if
    a reader has stored one again meanwhile.
    """
    done = []
    for key in keys:
        current_app.extensions.setdefault("local_copies", {}).pop(key, None)
        done.append(bool(safe_call("set", f"{key}:mark", secrets.token_hex(8), timeout=MARK_SECONDS)))
    for key in keys:
        # The cache returns whether there was anything to delete. Only a failed call counts here.
        done.append(safe_call("delete", key, failed=NO_ANSWER) is not NO_ANSWER)
    return all(done)


class Known:
    """What one process knows: the rows that it has read, and the changes that it has made since then."""

    def __init__(self) -> None:
        # None means that all values are out of date.
        self.items: frozenset[Item] | None = frozenset()
        # For each value, the time at which this process has changed it, on the monotonic clock.
        self.own: dict[Item, float] = {}
        self.looked_at = self.due_at = 0.0
        self.lock = threading.Lock()
        self.looking: gevent.Greenlet[..., None] | None = None
        self.is_away = False

    def has(self, item: Item) -> bool:
        """Return True if the cached value must not be used."""
        return item in self.own or self.items is None or item in self.items

    def learn(self, items: Iterable[Item], started: float, seconds: float) -> None:
        """Keep the rows that were read at `started`. They are read again after `seconds`."""
        found = frozenset(items)
        self.items = found if len(found) <= MOST_PENDING else None
        self.own = {item: moment for item, moment in self.own.items() if moment >= started}
        self.looked_at, self.due_at, self.is_away = started, started + seconds, False


def is_pending(uid: int, name: str) -> bool:
    """Return True while the cached value `name` of a user, or of all users (`SHARED`), must not be used or stored."""
    return _up_to_date(this_app()).has((uid, name))


def _up_to_date(app: Flask) -> Known:
    known = _known(app)
    if time.monotonic() >= known.due_at:
        _look(app, known)
    return known


def remember_change(uid: int, names: Iterable[str]) -> None:
    """Let this process stop using the values `names` of a user, or of all users (`SHARED`), at once."""
    _known(this_app()).own.update({(uid, name): time.monotonic() for name in names})


def _known(app: Flask) -> Known:
    known: Known | None = app.extensions.get("pending")
    if known is None:
        known = app.extensions["pending"] = Known()
    return known


def _look(app: Flask, known: Known) -> None:
    """Read the rows. A gevent worker reads them once for all requests, and each waits WAIT_SECONDS at most."""
    if not is_module_patched("socket"):
        _look_in_thread(app, known)
        return
    if known.looking is None:
        known.looking = gevent.spawn(contextvars.Context().run, _read, app, known)
    if not known.is_away:
        known.looking.join(WAIT_SECONDS)


def _look_in_thread(app: Flask, known: Known) -> None:
    if not known.lock.acquire(timeout=WAIT_SECONDS):
        return
    try:
        if time.monotonic() >= known.due_at:
            if is_in_transaction():
                # This thread has a connection. If many threads waited for a second one, they would block each other.
                started = time.monotonic()
                known.learn(_pending_items(app), started, app.config["LOCAL_REFRESH_SECONDS"])
            else:
                contextvars.Context().run(_read, app, known)
    finally:
        known.lock.release()


def _read(app: Flask, known: Known) -> None:
    started = time.monotonic()
    seconds: float = app.config["LOCAL_REFRESH_SECONDS"]
    try:
        # This is a new session, since the session of the request may hold an old snapshot.
        with app.app_context():
            known.learn(_pending_items(app), started, seconds)
    except SQLAlchemyError as error:
        if not known.is_away:
            log.warning("what is out of date in the cache cannot be read: %s", type(error).__name__)
        known.is_away, known.due_at = True, time.monotonic() + max(seconds, AWAY_SECONDS)
    finally:
        known.looking = None


def _pending_items(app: Flask) -> list[Any]:
    # Values that were cached before this time have expired.
    lives = [app.config[name] for name in ("USER_CACHE_SECONDS", "LEVELS_PAGE_SECONDS", "HOT_PAGE_SECONDS")]
    since = now() - timedelta(seconds=max(300, *lives) + COMMIT_SECONDS)
    return queries.pending_items(since, MOST_PENDING + 1)
