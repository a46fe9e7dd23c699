"""How long routes took on a day, by what all processes have gathered."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from swiper.admin.metrics_buffer import BOUNDS_MS, routes_key, slowest_key
from swiper.extensions import redis

SHOWN = 20


@dataclass(frozen=True)
class RouteTimes:
    """Times of a route in milliseconds. The p95 is the bound of the bucket in which it lies, or the slowest answer."""

    route: str
    count: int
    mean: float
    p95: float
    slowest: float


def slowest_routes(day: date) -> list[RouteTimes]:
    """The routes of a day that took the longest on average, the slowest first."""
    pipe = redis.client.pipeline(transaction=False)
    pipe.hgetall(routes_key(day))
    pipe.zrange(slowest_key(day), 0, -1, withscores=True)
    fields, slowest = pipe.execute()
    most = {route.decode(): micros / 1000 for route, micros in slowest}
    gathered: dict[str, dict[str, int]] = {}
    for field, value in fields.items():
        route, _, name = field.decode().rpartition("|")
        gathered.setdefault(route, {})[name] = int(value)
    routes = [_times_of(route, found, most.get(route, 0.0)) for route, found in gathered.items()]
    return sorted(routes, key=lambda times: -times.mean)[:SHOWN]


def _times_of(route: str, found: dict[str, Any], slowest: float) -> RouteTimes:
    count = found.get("n", 0)
    buckets = [found.get(str(place), 0) for place in range(len(BOUNDS_MS) + 1)]
    mean = found.get("t", 0) / count / 1000 if count else 0.0
    return RouteTimes(route, count, mean, _p95(buckets, slowest), slowest)


def _p95(buckets: Sequence[int], slowest: float) -> float:
    wanted, seen = 0.95 * sum(buckets), 0
    for bound, count in zip(BOUNDS_MS, buckets, strict=False):
        seen += count
        if seen >= wanted:
            return min(float(bound), slowest)
    return slowest
