"""Calls of the cache, which may fail: the database has the values as well."""

import logging
import time
from typing import Any

from flask import current_app

from swiper.extensions import cache
from swiper.outages import is_cache_away, is_redis_refusing
from swiper.signals import cache_failed

log = logging.getLogger(__name__)

AWAY_SECONDS = 1.0


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
            reason = "away"
            leave_alone()
            log.warning("the cache is away: %s", type(error).__name__)
        elif is_redis_refusing(error):
            reason = "refused"
            log.warning("the cache refuses to %s: %s", method, type(error).__name__)
        else:
            reason = "fault"
            log.exception("a fault in the cache's %s", method)
        cache_failed.send(None, reason=reason)
        return failed


def leave_alone() -> None:
    """Do not ask the cache for AWAY_SECONDS."""
    current_app.extensions["cache_away_until"] = time.monotonic() + AWAY_SECONDS
