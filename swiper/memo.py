"""Values that belong to one user, kept in the cache by user id and dropped by the write that changes them."""

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app

from swiper.extensions import cache

log = logging.getLogger(__name__)

T = TypeVar("T")


def recall(key: str, load: Callable[[], T], seconds: int) -> T:
    """The cached value of `key`, or `load()`, kept for `seconds`. None is never kept.

    A reader that loaded before a write and stored after the write's `forget` would leave an old value behind, so after
    storing it reads once more and takes the value back if it has changed meanwhile.
    """
    found = quietly("get", key)
    if found is not None:
        value: T = found
        return value
    value = load()
    if value is not None and quietly("set", key, value, timeout=seconds):
        again = load()
        if again != value:
            forget(key)
            return again
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
    quietly("delete_many", *keys)


def quietly(method: str, *args: Any, **kwargs: Any) -> Any:
    """Call the cache's `method`; one that is away costs speed, never an answer: the database still knows."""
    try:
        return getattr(cache, method)(*args, **kwargs)
    except Exception as error:
        log.warning("the cache is away: %s", type(error).__name__)
        return None
