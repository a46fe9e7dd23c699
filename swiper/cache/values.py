"""Values of one user, which are cached by user id and deleted by the write that changes them."""

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

# The next requests of a user bring the same packed bytes, so unpacked values are kept. Callers must not change them.
_read_stored = functools.lru_cache(maxsize=2_000)(PackedSerializer().loads)
AWAY_SECONDS = 1.0
# Loading a value takes less than this.
MARK_SECONDS = 120
NO_ANSWER = object()


def get_or_load(key: str, load: Callable[[], T], seconds: int, kind: Any = Any) -> T:
    """Return the cached value of `key`, or else call `load` and cache its result for `seconds`. None is not cached.

    A value is stored as msgpack, which has only numbers, texts, bytes, times, lists and mappings. `kind` is the type to
    which a stored value is converted. A stored value that does not fit is loaded again.

    A reader that loads before a write and stores after the write's `invalidate` would leave an old value in the cache.
    So each `invalidate` writes a new mark. A reader compares the mark before loading with the mark after storing, and
    deletes its value if they differ. While `key` is known to be out of date (see `pending`), its value is loaded and
    not stored.
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


def take_prefetched(key: str) -> Any:
    """Return what `prefetch` has kept for `key`, or None.

    It is returned only once, since a later call in the same request may follow a write.
    """
    found = this_g().pop(key, None)
    return _read_stored(found) if found else None


def shared_key(key: str) -> str | None:
    """Return the name of `key` in the application's own Redis, or None if the cache is elsewhere."""
    app = this_app()
    return f"{app.config['CACHE_KEY_PREFIX']}{key}" if _is_in_redis_of(app) else None


def is_in_redis() -> bool:
    """Return True if the cache is the application's own Redis."""
    return _is_in_redis_of(this_app())


def _is_in_redis_of(app: Flask) -> bool:
    # This is what Flask-Caching's property returns, without its two proxies.
    backend = app.extensions["cache"][cache]
    return app.extensions.get("redis") is getattr(backend, "_write_client", None)


def prefetch(key: str, stored: bytes) -> None:
    """Keep for this request what Redis has under `shared_key(key)`. It was read together with something else."""
    this_g().setdefault(key, stored)


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
    if is_pending(SHARED, key) and kept[0] < looked_at():
        return None
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


def try_lock(key: str, seconds: int) -> str | None:
    """Take a lock between all processes for at most `seconds`. Return the token for `unlock`, or None if it is taken.

    If the cache cannot be used, every caller gets the lock.
    """
    token = secrets.token_hex(8)
    is_ours = safe_call("add", key, token, timeout=seconds)
    return token if is_ours is None or is_ours else None


def unlock(key: str, token: str) -> None:
    """Release a lock, unless it has expired and another caller has it now."""
    if is_in_redis():
        safe_call("delete_if_equal", key, token)
    elif safe_call("get", key) == token:
        # Other backends cannot compare and delete in one step. The lock may change hands between these two calls.
        safe_call("delete", key)


def safe_call(method: str, *args: Any, failed: Any = None, **kwargs: Any) -> Any:
    """Call the cache's `method`, and return its result, or `failed` if it fails. The database has the values as well.

    A cache that could not be reached is not asked for AWAY_SECONDS, so that one request does not wait for it several
    times. A `delete` is tried nevertheless: otherwise the old value would be used when the cache is back. Refusals of
    Redis are logged. Any other error is a fault of ours: it is logged with a traceback, and the cache is still used.
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
    """Do not ask the cache for AWAY_SECONDS."""
    current_app.extensions["cache_away_until"] = time.monotonic() + AWAY_SECONDS
