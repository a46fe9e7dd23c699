"""The families of `/metrics`, made from what all processes have gathered.

Counters begin at 0 each day, since Redis has a hash for each day. `rate()` and `increase()` of Prometheus know that.
Labels are routes, methods, statuses, and names of our own parts: never a person, an address or a number.
"""

from collections.abc import Iterator
from typing import Any

from flask import Flask, current_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)

from swiper.admin.metrics_buffer import BOUNDS_MS, Count, Metric, counts_key, routes_key
from swiper.admin.process_families import counter, families_of_processes, named, shown
from swiper.admin.queries.metrics import metrics_since
from swiper.admin.queues import queue_lengths
from swiper.admin.replica_families import families_of_replicas
from swiper.admin.route_latency import bucket_counts, counts_by_route
from swiper.backfills.services import list_progress
from swiper.clock import today
from swiper.extensions import redis, this_app
from swiper.social.models import SwipeKind
from swiper.tallies import MICRO
from swiper.tasks.heartbeat import Part, are_fresh, queue_ages

BOUNDS = [*(str(bound / 1000) for bound in BOUNDS_MS), "+Inf"]
# They are shown from the start, since `increase()` does not see the first value of a new series.
SHOWN_STATUSES = ("200", "500", "503")


def families_of_redis() -> Iterator[Family]:
    """What is gathered in Redis. Raises RedisError."""
    pipe = redis.client.pipeline(transaction=False)
    pipe.hgetall(counts_key(today()))
    pipe.hgetall(routes_key(today()))
    for command in are_fresh():
        pipe.execute_command(*command)
    counts, routes, *fresh = pipe.execute()
    known = {name.decode(): int(value) for name, value in counts.items()}
    yield from _requests(counts_by_route(routes))
    yield from _swipes(known)
    yield from _codes(known)
    yield from _tasks(known)
    yield from families_of_processes(known)
    yield from _heartbeats(dict(zip(Part, fresh, strict=True)))


def families_of_database() -> Iterator[Family]:
    """What beat stores once a minute, and how far backfills are. Raises SQLAlchemy's errors."""
    stored = {row.name: row.value for row in metrics_since(today())}
    family = CounterMetricFamily("swiper_sign_ups", "First logins, without robots.")
    family.add_metric([], stored.get(Metric.SIGN_UPS, 0))
    yield family
    left = GaugeMetricFamily(
        "swiper_backfill_rows_left", "About so many rows a backfill has not looked at.", labels=["backfill"]
    )
    for progress in list_progress():
        if progress.rows_left is not None:
            left.add_metric([progress.name], progress.rows_left)
    yield left
    yield from families_of_replicas()


def families_of_broker() -> Iterator[Family]:
    """What the broker tells. Raises kombu's errors."""
    family = GaugeMetricFamily("swiper_queue_length", "Tasks that no worker has taken.", labels=["queue"])
    for queue, length in queue_lengths().items():
        family.add_metric([queue], length)
    yield family


def _requests(found: dict[str, dict[str, int]]) -> Iterator[Family]:
    labels = ["method", "route"]
    answers = CounterMetricFamily("swiper_http_requests", "Responses by status.", labels=[*labels, "code"])
    times = HistogramMetricFamily("swiper_http_request_duration_seconds", "Until the response starts.", labels=labels)
    for route in sorted({*_known_routes(current_app), *found}):
        method, _, rule = route.partition(" ")
        counts = found.get(route, {})
        for status, number in _by_status(counts).items():
            answers.add_metric([method, rule, status], number)
        times.add_metric([method, rule], _cumulative(bucket_counts(counts)), counts.get("t", 0) / MICRO)
    yield answers
    yield times


def _known_routes(app: Flask) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield f"{method} {rule.rule}"


def _by_status(counts: dict[str, int]) -> dict[str, int]:
    others = {name[1:]: number for name, number in counts.items() if name.startswith("s")}
    # A number is sent to Redis together with those of which it consists, but not read at the same moment.
    usual = max(0, counts.get("n", 0) - sum(others.values()))
    return dict.fromkeys(SHOWN_STATUSES, 0) | others | {"200": usual}


def _cumulative(buckets: list[int]) -> list[Any]:
    """Return pairs of a bound in seconds and the number of responses that took at most as long."""
    return [(bound, sum(buckets[: place + 1])) for place, bound in enumerate(BOUNDS)]


def _swipes(known: dict[str, int]) -> Iterator[Family]:
    superlikes = known.get(Count.SUPERLIKES, 0)
    likes, swipes = known.get(Metric.LIKES, 0), known.get(Metric.SWIPES, 0)
    # A process of the release before counts no superlikes: they are likes there.
    numbers = {SwipeKind.LIKE: likes - superlikes, SwipeKind.SUPERLIKE: superlikes, SwipeKind.DISLIKE: swipes - likes}
    yield counter("swiper_swipes", "Swipes at their commit.", "kind", numbers.items())
    matches = CounterMetricFamily("swiper_matches", "New pairs of friends.")
    matches.add_metric([], known.get(Metric.MATCHES, 0))
    yield matches


def _codes(known: dict[str, int]) -> Iterator[Family]:
    asked = CounterMetricFamily("swiper_codes_asked", "Login codes that were made to be sent.")
    asked.add_metric([], known.get(Count.CODES_ASKED, 0))
    unsent = CounterMetricFamily("swiper_codes_unsent", "Attempts to send a code that no provider accepted.")
    unsent.add_metric([], known.get(Metric.SMS_FAILED, 0))
    providers = [provider.name for provider in current_app.extensions["sms"]]
    yield asked
    yield unsent
    yield counter(
        "swiper_sms_sent", "SMS that a provider accepted.", "provider", shown(known, Count.SENT_BY, providers)
    )
    yield counter(
        "swiper_sms_refused",
        "SMS that a provider did not accept.",
        "provider",
        shown(known, Count.REFUSED_BY, providers),
    )


def _tasks(known: dict[str, int]) -> Iterator[Family]:
    ended = CounterMetricFamily("swiper_tasks", "Tasks that ended, by state.", labels=["task", "state"])
    times = SummaryMetricFamily("swiper_task_duration_seconds", "Run times of tasks.", labels=["task"])
    runs: dict[str, int] = {}
    for name, number in named(known, Count.TASKS):
        task, _, state = name.rpartition(":")
        ended.add_metric([task, state], number)
        runs[task] = runs.get(task, 0) + number
    for task, micros in named(known, Count.TASK_MICROS):
        times.add_metric([task], runs.get(task, 0), micros / MICRO)
    yield ended
    yield times


def _heartbeats(fresh: dict[Part, Any]) -> Iterator[Family]:
    up = GaugeMetricFamily("swiper_up", "1 if its last heartbeat is fresh.", labels=["part"])
    for part, is_fresh in fresh.items():
        up.add_metric([part], float(is_fresh))
    yield up
    if fresh[Part.BEAT]:
        queues = {queue.name for queue in this_app().extensions["celery"].conf.task_queues}
        ages = GaugeMetricFamily("swiper_queue_age_seconds", "How long a task waits in a queue.", labels=["queue"])
        for queue, age in queue_ages().items():
            if queue in queues:
                ages.add_metric([queue], age)
        yield ages
