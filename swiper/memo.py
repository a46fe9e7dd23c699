"""Values that belong to one user, kept in the cache by user id and dropped by the write that changes them."""

import logging
import secrets
import time
from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app

from swiper.extensions import cache

log = logging.getLogger(__name__)

T = TypeVar("T")

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


def recall_for_all(key: str, load: Callable[[], T], seconds: int) -> T:
    """Like `recall`, for what is the same for everyone and read on every request.

    Each process keeps its own copy and looks at the cache again after `LOCAL_REFRESH_SECONDS`.
    """
    copies: dict[str, tuple[float, T]] = current_app.extensions.setdefault("memo", {})
    read_at, value = copies.get(key, (None, None))
    if read_at is None or time.monotonic() - read_at >= current_app.config["LOCAL_REFRESH_SECONDS"]:
        value = recall(key, load, seconds)
        copies[key] = (time.monotonic(), value)
    return value  # type: ignore[return-value]


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
