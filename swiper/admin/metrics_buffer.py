"""Metrics are counted in the memory of each process and sent to Redis every few seconds: no request waits for them.

A process that ends, or that cannot reach Redis, loses what it counted since the last sending.
"""

import itertools
import logging
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple

from flask import Flask
from redis.exceptions import RedisError

from swiper.clock import today
from swiper.extensions import redis, this_app
from swiper.signals import matched, swiped
from swiper.social.models import SwipeKind
from swiper.tallies import MICRO, take_tallies
from swiper.tasks.batcher import Batcher

log = logging.getLogger(__name__)

EXTENSION = "metrics_buffer"
# Long enough for the beat to store the counts of a day, and to compare routes with the week before.
KEPT_SECONDS = 8 * 86_400
# Upper bounds of the buckets of response times, in milliseconds. A last bucket has all slower responses.
BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
NO_ROUTE = "no such route"
# Most responses have this status, so they are counted by their times alone.
USUAL_STATUS = "200 OK"


class Metric(StrEnum):
    """A number by day. Revenue is in cents, the cost of SMS in millionths of a yuan."""

    SIGN_UPS = "sign_ups"
    SWIPES = "swipes"
    LIKES = "likes"
    MATCHES = "matches"
    SMS_SENT = "sms_sent"
    SMS_FAILED = "sms_failed"
    SMS_COST = "sms_cost"
    REVENUE = "revenue"
    QUEUE_PEAK = "queue_peak"


class Count(StrEnum):
    """What is counted by day for `/metrics` alone. Those that end in a colon are followed by a name, such as a task's.

    The times of tasks are in microseconds.
    """

    SUPERLIKES = "superlikes"
    CODES_ASKED = "codes_asked"
    SENT_BY = "sms_sent:"
    REFUSED_BY = "sms_refused:"
    CACHE_ERRORS = "cache_errors:"
    TASKS = "tasks:"
    TASK_MICROS = "task_micros:"


# Redis Cluster keeps keys with the same word in braces on one server. The word is older than the names of the code.


def counts_key(day: date) -> str:
    """The Redis key of the counts of a day."""
    return redis.key(f"{{figures}}:counts:{day}")


def routes_key(day: date) -> str:
    """The Redis key of the number of requests and the response times of each route on a day."""
    return redis.key(f"{{figures}}:routes:{day}")


def slowest_key(day: date) -> str:
    """The Redis key of the slowest response of each route on a day, in microseconds."""
    return redis.key(f"{{figures}}:slowest:{day}")


class Buffered(NamedTuple):
    """What one process has counted since the last sending."""

    counts: Counter[str]
    # By method and route: number of requests, sum and maximum in microseconds, then the number in each bucket.
    timings: dict[tuple[str, str], list[int]]
    # By method, route and status (three digits): number of responses with another status than 200.
    statuses: Counter[tuple[str, str, str]]

    def __bool__(self) -> bool:
        return bool(self.counts or self.timings)


class MetricsBuffer:
    """The counts and response times of one process, which are sent every few seconds."""

    def __init__(self, app: Flask, flush_seconds: float) -> None:
        """With `flush_seconds` 0 only `flush` sends."""
        self.flush_seconds = flush_seconds
        self.batcher = Batcher(app, lambda: Buffered(Counter(), {}, Counter()), self._send)

    def count(self, *names: str, by: int = 1) -> None:
        """Add `by` to each of today's counts `names`."""
        # Threads of a Celery worker count at the same time.
        with self.batcher.lock:
            counts = self.batcher.content.counts
            for name in names:
                counts[name] += by
        self._plan_flush()

    def add_response(self, route: tuple[str, str], seconds: float, status: str = USUAL_STATUS) -> None:
        """Add the time of one response to those of its method and route, and count its status.

        This takes no lock, because greenlets switch only where they wait.
        """
        micros = int(seconds * MICRO)
        timings = self.batcher.content.timings
        if status != USUAL_STATUS:
            self.batcher.content.statuses[(*route, status[:3])] += 1
        timing = timings.get(route)
        if timing is None:
            timing = timings[route] = [0] * (4 + len(BOUNDS_MS))
        timing[0] += 1
        timing[1] += micros
        if micros > timing[2]:
            timing[2] = micros
        timing[3 + bisect_left(BOUNDS_MS, micros / 1000)] += 1
        self._plan_flush()

    def flush(self) -> None:
        """Send everything to Redis in one pipeline."""
        self.batcher.flush()

    def _plan_flush(self) -> None:
        if self.flush_seconds:
            self.batcher.plan(self.flush_seconds)

    def _send(self, content: Buffered) -> None:
        try:
            _send(today(), content)
        except RedisError as error:
            log.warning("metrics of %.0f s are lost: %s", self.flush_seconds, type(error).__name__)


def _send(day: date, content: Buffered) -> None:
    pipe = redis.client.pipeline(transaction=False)
    for name, value in itertools.chain(content.counts.items(), take_tallies().items()):
        pipe.hincrby(counts_key(day), name, value)
    for (method, rule, status), value in content.statuses.items():
        pipe.hincrby(routes_key(day), f"{method} {rule}|s{status}", value)
    for (method, rule), (number, total, most, *buckets) in content.timings.items():
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


# --- Receivers of the signals of hot requests; `metrics_receivers.py` has the others ---


def count(*names: str, by: int = 1) -> None:
    """Add `by` to each of today's counts `names` of the current application."""
    # Tests make applications that have only some parts, and no buffer.
    if (buffer := this_app().extensions.get(EXTENSION)) is not None:
        buffer.count(*names, by=by)


@swiped.connect
def count_swipe(_sender: Any, *, kind: SwipeKind, **_: Any) -> None:
    """Count a swipe."""
    count(Metric.SWIPES, *((Metric.LIKES,) if kind.is_like else ()))
    if kind is SwipeKind.SUPERLIKE:
        count(Count.SUPERLIKES)


@matched.connect
def count_match(_sender: Any, **_: Any) -> None:
    """Count a new pair of friends."""
    count(Metric.MATCHES)


# --- Response times ---


class TimingMiddleware:
    """WSGI middleware that measures the seconds until each response starts.

    It counts by the rule of the route, because a path may contain a person's id. Werkzeug leaves the request in the
    environment until the response has started; a request that matched no route has no rule.
    """

    def __init__(self, app: Flask, add_response: Callable[[tuple[str, str], float, str], None]) -> None:
        self.wsgi_app = app.wsgi_app
        self.add_response = add_response

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """See PEP 3333."""
        began = time.perf_counter()

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            request = environ.get("werkzeug.request")
            rule = request.url_rule if request is not None else None
            # Without a route, the method may be any word that the client sent.
            route = (environ["REQUEST_METHOD"], rule.rule) if rule is not None else ("-", NO_ROUTE)
            self.add_response(route, time.perf_counter() - began, status)
            return start_response(status, headers, *exc_info)

        return self.wsgi_app(environ, start)


def init_app(app: Flask) -> None:
    """Give the application its buffer, and measure response times around all other middleware."""
    buffer = MetricsBuffer(app, app.config["FIGURES_FLUSH_SECONDS"])
    app.extensions[EXTENSION] = buffer
    app.wsgi_app = TimingMiddleware(app, buffer.add_response)  # type: ignore[method-assign]
