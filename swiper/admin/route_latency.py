"""The response times of the routes on a day, from what all processes have counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from swiper.admin.metrics_buffer import BOUNDS_MS, routes_key, slowest_key
from swiper.extensions import redis

SHOWN = 20


@dataclass(frozen=True)
class RouteLatency:
    """Response times of a route in milliseconds; `count` is the number of requests.

    `p95` is the upper bound of its bucket, or `slowest` where that is less.
    """

    route: str
    count: int
    mean: float
    p95: float
    slowest: float


def slowest_routes(day: date) -> list[RouteLatency]:
    """The `SHOWN` routes with the highest mean on a day, the slowest first."""
    pipe = redis.client.pipeline(transaction=False)
    pipe.hgetall(routes_key(day))
    pipe.zrange(slowest_key(day), 0, -1, withscores=True)
    fields, slowest = pipe.execute()
    slowest_ms = {route.decode(): micros / 1000 for route, micros in slowest}
    routes = [_latency_of(route, found, slowest_ms.get(route, 0.0)) for route, found in counts_by_route(fields).items()]
    return sorted(routes, key=lambda latency: -latency.mean)[:SHOWN]


def counts_by_route(fields: Mapping[bytes, bytes]) -> dict[str, dict[str, int]]:
    """Return the fields of `routes_key` by route, such as `GET /api/vip/me`, and name.

    The names are `n` (number of requests), `t` (sum of the response times in microseconds), the places of BOUNDS_MS,
    and `s` with a status.
    """
    counts: dict[str, dict[str, int]] = {}
    for field, value in fields.items():
        route, _, name = field.decode().rpartition("|")
        counts.setdefault(route, {})[name] = int(value)
    return counts


def bucket_counts(found: Mapping[str, int]) -> list[int]:
    """Return the number of responses in each bucket, from what `counts_by_route` has of one route."""
    return [found.get(str(place), 0) for place in range(len(BOUNDS_MS) + 1)]


def _latency_of(route: str, found: dict[str, Any], slowest: float) -> RouteLatency:
    count = found.get("n", 0)
    mean = found.get("t", 0) / count / 1000 if count else 0.0
    return RouteLatency(route, count, mean, _p95(bucket_counts(found), slowest), slowest)


def _p95(buckets: Sequence[int], slowest: float) -> float:
    wanted, seen = 0.95 * sum(buckets), 0
    for bound, count in zip(BOUNDS_MS, buckets, strict=False):
        seen += count
        if seen >= wanted:
            return min(float(bound), slowest)
    return slowest
