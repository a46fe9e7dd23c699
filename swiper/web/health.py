"""Checks what this instance needs to serve requests, and whether Celery runs."""

import logging
import math
import threading
import time
from collections.abc import Callable

from redis.exceptions import RedisError

from swiper.db.revisions import is_behind
from swiper.extensions import db, redis, this_app
from swiper.tasks.heartbeat import are_fresh
from swiper.web import queries

log = logging.getLogger(__name__)

# By part: True if it is well, False if it fails, None if this is not known because another part fails.
Parts = dict[str, bool | None]

# An instance without one of these cannot serve. Without `worker` or `beat` it can: their work waits in the database.
REQUIRED = ("database", "schema", "redis")
# A schema that is new enough stays so. This process looks at it again after so many seconds.
SCHEMA_SECONDS = 5.0
# Written at each check, since Redis may answer and refuse writes.
PROBE_KEY = "readiness"


class ReadinessChecks:
    """The checks of one process. It runs one at a time, and requests that come meanwhile share its result."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.parts: Parts = {}
        # Both on the monotonic clock.
        self.ended = self.schema_was_good = -math.inf

    def run(self) -> Parts:
        """See `check_parts`."""
        came = time.monotonic()
        with self.lock:
            if self.ended < came:
                self.parts = self._check_database() | _check_redis()
                self.ended = time.monotonic()
            return self.parts

    def _check_database(self) -> Parts:
        try:
            if not _succeeds("database", queries.ask_database):
                return {"database": False, "schema": None}
            return {"database": True, "schema": self._is_schema_good()}
        finally:
            # The connection goes back to its pool.
            db.session.rollback()

    def _is_schema_good(self) -> bool:
        if time.monotonic() - self.schema_was_good < SCHEMA_SECONDS:
            return True
        if not _succeeds("schema", _require_schema):
            return False
        self.schema_was_good = time.monotonic()
        return True


class SchemaBehindError(Exception):
    """The database lacks migrations of this release."""


def check_parts() -> Parts:
    """Return the state of `database`, `schema`, `redis`, `worker` and `beat`. What fails in REQUIRED is logged."""
    checks: ReadinessChecks = this_app().extensions.setdefault("readiness", ReadinessChecks())
    return checks.run()


def is_ready(parts: Parts) -> bool:
    """Return True if this instance can serve."""
    return all(parts[name] for name in REQUIRED)


def _require_schema() -> None:
    if is_behind(queries.stored_revisions()):
        raise SchemaBehindError()


def _check_redis() -> Parts:
    try:
        probes = [("SET", key, "1", "EX", "60") for key in redis.client.spread_keys(PROBE_KEY)]
        answers = redis.client.execute_together(*probes, *are_fresh())
    except (RedisError, OSError) as error:
        _log("redis", error)
        return {"redis": False, "worker": None, "beat": None}
    refused = [answer for answer in answers[: len(probes)] if isinstance(answer, Exception)]
    for each in refused:
        _log("redis", each)
    beat, worker = (None if isinstance(answer, Exception) else bool(answer) for answer in answers[len(probes) :])
    # A worker gives its heartbeat when beat has asked for it.
    return {"redis": not refused, "worker": worker or (False if beat else None), "beat": beat}


def _succeeds(name: str, ask: Callable[[], None]) -> bool:
    try:
        ask()
    except Exception as error:
        _log(name, error)
        return False
    return True


def _log(name: str, error: Exception) -> None:
    log.warning("%s is not ready: %s", name, type(error).__name__)
