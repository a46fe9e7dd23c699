"""Figures are gathered in the process and sent to Redis together every few seconds: no request waits for them.

A process that ends, or has no Redis, loses what it had gathered since; that costs a figure, never a request.
"""

import logging
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

from flask import Flask
from redis.exceptions import RedisError

from swiper.extensions import redis
from swiper.tasks.batcher import Batcher
from swiper.vip.quotas import today

log = logging.getLogger(__name__)

# Long enough for the beat to write down what is counted, and for routes to be compared with last week's.
KEPT_SECONDS = 8 * 86_400
# Upper bounds in milliseconds; what takes longer than the last has a bucket of its own.
BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
NO_ROUTE = "no such route"


def counts_key(day: date) -> str:
    """Where Redis keeps the counts of a day; the braces keep all figures in one slot of a cluster."""
    return f"{{figures}}:counts:{day}"


def routes_key(day: date) -> str:
    """Where Redis keeps how often each route was asked for on a day, and how long it took."""
    return f"{{figures}}:routes:{day}"


def slowest_key(day: date) -> str:
    """Where Redis keeps each route's slowest answer of a day, in microseconds."""
    return f"{{figures}}:slowest:{day}"


class Gathered(NamedTuple):
    """What one process has counted and timed since it last sent anything."""

    counts: Counter[str]
    # By method and route: how many, microseconds in all and at most, then how many in each bucket.
    timings: dict[tuple[str, str], list[int]]

    def __bool__(self) -> bool:
        return bool(self.counts or self.timings)


class Gathering:
    """Counts and times what one process does, and sends it every few seconds."""

    def __init__(self, app: Flask, flush_seconds: float) -> None:
        """With `flush_seconds` 0 nothing is sent but by `flush`."""
        self.flush_seconds = flush_seconds
        self.batcher = Batcher(app, lambda: Gathered(Counter(), {}), self._send)

    def count(self, *names: str, by: int = 1) -> None:
        """Add to some of today's counts."""
        # Celery's worker counts in several threads.
        with self.batcher.lock:
            counts = self.batcher.content.counts
            for name in names:
                counts[name] += by
        self._plan()

    def note(self, route: tuple[str, str], seconds: float) -> None:
        """Add one answer to its route's times. Without the lock: greenlets do not interrupt each other here."""
        micros = int(seconds * 1_000_000)
        timings = self.batcher.content.timings
        timing = timings.get(route)
        if timing is None:
            timing = timings[route] = [0] * (4 + len(BOUNDS_MS))
        timing[0] += 1
        timing[1] += micros
        if micros > timing[2]:
            timing[2] = micros
        timing[3 + bisect_left(BOUNDS_MS, micros / 1000)] += 1
        self._plan()

    def flush(self) -> None:
        """Send everything in one pipeline."""
        self.batcher.flush()

    def _plan(self) -> None:
        if self.flush_seconds:
            self.batcher.plan(self.flush_seconds)

    def _send(self, content: Gathered) -> None:
        try:
            _send(today(), content.counts, content.timings)
        except RedisError as error:
            log.warning("figures of %.0f s are lost: %s", self.flush_seconds, type(error).__name__)


def _send(day: date, counts: Counter[str], timings: dict[tuple[str, str], list[int]]) -> None:
    pipe = redis.client.pipeline(transaction=False)
    for name, value in counts.items():
        pipe.hincrby(counts_key(day), name, value)
    for (method, rule), (number, total, most, *buckets) in timings.items():
        route = f"{method} {rule}"
        pipe.zadd(slowest_key(day), {route: most}, gt=True)
        pipe.hincrby(routes_key(day), f"{route}|n", number)
        pipe.hincrby(routes_key(day), f"{route}|t", total)
        for place, value in enumerate(buckets):
            if value:
                pipe.hincrby(routes_key(day), f"{route}|{place}", value)
    for key in (counts_key(day), routes_key(day), slowest_key(day)):
        pipe.expire(key, KEPT_SECONDS)
    pipe.execute()


class TimedAnswers:
    """Notes how long each answer took to begin, by the rule of its route: never by an address with somebody's id.

    Werkzeug leaves the request in the environment until the answer has begun; what matched no rule has none.
    """

    def __init__(self, app: Flask, note: Callable[[tuple[str, str], float], None]) -> None:
        self.wsgi_app = app.wsgi_app
        self.note = note

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """See PEP 3333."""
        began = time.perf_counter()

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            request = environ.get("werkzeug.request")
            rule = request.url_rule if request is not None else None
            # A method that no route knows may be any word of the client's.
            route = (environ["REQUEST_METHOD"], rule.rule) if rule is not None else ("-", NO_ROUTE)
            self.note(route, time.perf_counter() - began)
            return start_response(status, headers, *exc_info)

        return self.wsgi_app(environ, start)


def init_app(app: Flask) -> None:
    """Gather the application's figures, around everything else that answers."""
    made = Gathering(app, app.config["FIGURES_FLUSH_SECONDS"])
    app.extensions["figures"] = made
    app.wsgi_app = TimedAnswers(app, made.note)  # type: ignore[method-assign]
