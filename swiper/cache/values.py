"""Values that belong to one user, kept in the cache by user id and dropped by the write that changes them."""

import functools
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from flask import Flask, current_app

from swiper.cache.backends import PackedSerializer
from swiper.cache.pending import SHARED, is_pending, looked_at
from swiper.extensions import cache, this_app, this_g
from swiper.outages import is_cache_away, is_redis_refusing

log = logging.getLogger(__name__)

T = TypeVar("T")

# What is offered is packed, so nobody changes it; users come back soon, and the same bytes with them.
_read_stored = functools.lru_cache(maxsize=2_000)(PackedSerializer().loads)
AWAY_SECONDS = 1.0
# Longer than any load takes that a write could overtake.
MARK_SECONDS = 120
NO_ANSWER = object()


def get_or_load(key: str, load: Callable[[], T], seconds: int, kind: Any = Any) -> T:
    """The cached value of `key`, or `load()`, kept for `seconds`. None is never kept.

    A value is stored as msgpack, which knows numbers, texts, bytes, times, lists and mappings only; `kind` is the type
    that a stored value is converted to. A value that does not fit it is loaded anew.

    A reader that loaded before a write and stored after the write's `invalidate` would leave an old value behind. So
    each `invalidate` leaves a new mark, and a reader that finds another mark after storing than before loading takes
    its value back. While `key` is known to be out of date (see `pending`) it is loaded and not stored.
    """
    if is_pending(SHARED, key):
        return load()
    found: T | None = read_cached(key, kind)
    if found is not None:
        return found
    mark = safe_call("get", f"{key}:mark")
    value = load()
    if value is None or is_pending(SHARED, key) or not safe_call("set", key, value, timeout=seconds):
        return value
    # No answer is no proof: a new mark may be there.
    if safe_call("get", f"{key}:mark", failed=NO_ANSWER) != mark:
        safe_call("delete", key)
    return value


def read_cached(key: str, kind: Any = Any) -> Any:
    """The cached value of `key` as a `kind`; None where there is none, or none that fits."""
    found = safe_call("get", key)
    try:
        return None if found is None else msgspec.convert(found, kind)
    except msgspec.ValidationError:
        log.warning("a cached value is not what this release stores: %s", key)
        safe_call("delete", key)
        return None


def take_prefetched(key: str) -> Any:
    """What `prefetch` left for `key`, once: a later look in the request may follow a write. None where nothing."""
    found = this_g().pop(key, None)
    return _read_stored(found) if found else None


def shared_key(key: str) -> str | None:
    """The name under which Redis itself has `key`; None where another backend keeps it."""
    app = this_app()
    return f"{app.config['CACHE_KEY_PREFIX']}{key}" if _is_in_redis_of(app) else None


def is_in_redis() -> bool:
    """True where the cache is the application's own Redis."""
    return _is_in_redis_of(this_app())


def _is_in_redis_of(app: Flask) -> bool:
    # Flask-Caching keeps the backends by extension; its own property goes through two proxies.
    backend = app.extensions["cache"][cache]
    return app.extensions.get("redis") is getattr(backend, "_write_client", None)


def prefetch(key: str, stored: bytes) -> None:
    """Keep what Redis has under `shared_key(key)`, read along with something else, for this request."""
    this_g().setdefault(key, stored)


def get_or_load_shared(key: str, load: Callable[[], T], seconds: int, kind: Any = Any) -> T:
    """Like `get_or_load`, for what is the same for everyone and read on every request.

    Each process keeps its own copy and looks at the cache again after `LOCAL_REFRESH_SECONDS`.
    """
    found: T | None = own_copy(key)
    return keep_copy(key, get_or_load(key, load, seconds, kind)) if found is None else found


def own_copy(key: str) -> Any:
    """What this process has kept of `key`, for at most `LOCAL_REFRESH_SECONDS`; none that is known to be older."""
    app = this_app()
    kept: tuple[float, Any] | None = app.extensions.setdefault("local_copies", {}).get(key)
    if kept is None or time.monotonic() - kept[0] >= app.config["LOCAL_REFRESH_SECONDS"]:
        return None
    if is_pending(SHARED, key) and kept[0] < looked_at():
        return None
    return kept[1]


def keep_copy(key: str, value: T) -> T:
    """Keep `value`, and return it."""
    current_app.extensions.setdefault("local_copies", {})[key] = (time.monotonic(), value)
    return value


def invalidate(*keys: str) -> bool:
    """Drop `keys`, after the commit of the write that changed what they hold; False where the cache did not do all.

    Each is deleted by a call of its own: cachelib's `delete_many` looks whether the keys are gone, and takes a reader
    that has stored one again meanwhile for an error.
    """
    done = []
    for key in keys:
        current_app.extensions.setdefault("local_copies", {}).pop(key, None)
        done.append(bool(safe_call("set", f"{key}:mark", secrets.token_hex(8), timeout=MARK_SECONDS)))
    for key in keys:
        # What the cache returns says whether there was anything to delete.
        done.append(safe_call("delete", key, failed=NO_ANSWER) is not NO_ANSWER)
    return all(done)


def try_lock(key: str, seconds: int) -> str | None:
    """Take a lock that all processes see, for at most `seconds`; the token that `unlock` asks for, None if it is held.

    Where the cache cannot be used everybody gets it.
    """
    token = secrets.token_hex(8)
    is_ours = safe_call("add", key, token, timeout=seconds)
    return token if is_ours is None or is_ours else None


def unlock(key: str, token: str) -> None:
    """Give a lock back, unless its time has run out and somebody else holds it by now."""
    if is_in_redis():
        safe_call("delete_if_equal", key, token)
    elif safe_call("get", key) == token:
        # Other backends cannot compare and delete in one step; what is left is the moment between these two calls.
        safe_call("delete", key)


def safe_call(method: str, *args: Any, failed: Any = None, **kwargs: Any) -> Any:
    """Call the cache's `method`. Where it fails `failed` is returned: the database still knows.

    A cache that could not be reached is left alone for a moment, so that one request does not wait for it several
    times. A `delete` is tried all the same: what it should remove would otherwise come back with the cache. Any other
    error is a fault of ours: it is logged in full, and the cache goes on being used.
    """
    extensions = current_app.extensions
    if time.monotonic() < extensions.get("cache_away_until", 0) and not method.startswith("delete"):
        return failed
    try:
        return getattr(cache.cache, method)(*args, **kwargs)
    except Exception as error:
        if is_cache_away(error):
            leave_alone()
            log.warning("the cache is away: %s", type(error).__name__)
        elif is_redis_refusing(error):
            log.warning("the cache refuses to %s: %s", method, type(error).__name__)
        else:
            log.exception("a fault in the cache's %s", method)
        return failed


def leave_alone() -> None:
    """Do not ask the cache for a moment."""
    current_app.extensions["cache_away_until"] = time.monotonic() + AWAY_SECONDS
