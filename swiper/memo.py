"""Values that belong to one user, kept in the cache by user id and dropped by the write that changes them."""

import functools
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app

from swiper.extensions import cache, this_app, this_g
from swiper.quick_redis import SharedRedisCache

log = logging.getLogger(__name__)

T = TypeVar("T")

# What is offered is packed, so nobody changes it; users come back soon, and the same bytes with them.
_read_stored = functools.lru_cache(maxsize=2_000)(SharedRedisCache.serializer.loads)
AWAY_SECONDS = 1.0
# Longer than any load takes that a write could overtake.
MARK_SECONDS = 120


def recall(key: str, load: Callable[[], T], seconds: int) -> T:
    """The cached value of `key`, or `load()`, kept for `seconds`. None is never kept.

    A reader that loaded before a write and stored after the write's `forget` would leave an old value behind. So each
    `forget` leaves a new mark, and a reader that finds another mark after storing than before loading takes its value
    back.
    """
    found = quietly("get", key)
    if found is not None:
        value: T = found
        return value
    mark = quietly("get", f"{key}:mark")
    value = load()
    if value is not None and quietly("set", key, value, timeout=seconds) and quietly("get", f"{key}:mark") != mark:
        quietly("delete", key)
    return value


def take_offered(key: str) -> Any:
    """What `offer` left for `key`, once: a second look in the same request may follow a write. None where nothing."""
    found = this_g().pop(key, None)
    try:
        return _read_stored(found) if found else None
    except Exception as error:
        log.warning("a cached value is unreadable: %s", type(error).__name__)
        quietly("delete", key)
        return None


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


def offer(key: str, stored: bytes) -> None:
    """Keep what Redis has under `shared_key(key)`, read along with something else, for this request."""
    this_g().setdefault(key, stored)


def recall_for_all(key: str, load: Callable[[], T], seconds: int) -> T:
    """Like `recall`, for what is the same for everyone and read on every request.

    Each process keeps its own copy and looks at the cache again after `LOCAL_REFRESH_SECONDS`.
    """
    found: T | None = own_copy(key)
    return keep_copy(key, recall(key, load, seconds)) if found is None else found


def own_copy(key: str) -> Any:
    """What this process has kept of `key`, for at most `LOCAL_REFRESH_SECONDS`."""
    app = this_app()
    kept: tuple[float, Any] | None = app.extensions.setdefault("memo", {}).get(key)
    if kept is None or time.monotonic() - kept[0] >= app.config["LOCAL_REFRESH_SECONDS"]:
        return None
    return kept[1]


def keep_copy(key: str, value: T) -> T:
    """Keep `value`, and return it."""
    current_app.extensions.setdefault("memo", {})[key] = (time.monotonic(), value)
    return value


def forget(*keys: str) -> None:
    """Drop `keys`; called after the commit of the write that changed what they hold."""
    for key in keys:
        current_app.extensions.setdefault("memo", {}).pop(key, None)
        quietly("set", f"{key}:mark", secrets.token_hex(8), timeout=MARK_SECONDS)
    quietly("delete_many", *keys)


def quietly(method: str, *args: Any, **kwargs: Any) -> Any:
    """Call the cache's `method`; one that is away costs speed, never an answer: the database still knows.

    A cache that did not answer is left alone for a moment, so that one request does not wait for it several times. A
    `delete` is tried all the same: what it should remove would otherwise come back with the cache.
    """
    extensions = current_app.extensions
    if time.monotonic() < extensions.get("cache_away_until", 0) and not method.startswith("delete"):
        return None
    try:
        return getattr(cache, method)(*args, **kwargs)
    except Exception as error:
        leave_alone()
        log.warning("the cache is away: %s", type(error).__name__)
        return None


def leave_alone() -> None:
    """Do not ask the cache for a moment."""
    current_app.extensions["cache_away_until"] = time.monotonic() + AWAY_SECONDS
