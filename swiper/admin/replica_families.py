"""The families of `/metrics` about the database's replicas, which the process of the metrics asks at each scrape."""

import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.core import Metric as Family
from sqlalchemy.exc import SQLAlchemyError

from swiper.db.replica_lag import Replica, UnmeasuredError
from swiper.db.replicas import replicas_of_app


def families_of_replicas() -> Iterator[Family]:
    """Yield how far each replica is behind."""
    up = GaugeMetricFamily("swiper_replica_up", "1 if it answers and tells its position.", labels=["replica"])
    lag = GaugeMetricFamily("swiper_replica_lag_seconds", "How far it is behind at most.", labels=["replica"])
    for replica in replicas_of_app():
        seconds = _lag_of(replica)
        up.add_metric([replica.name], float(seconds is not None))
        if seconds is not None:
            lag.add_metric([replica.name], seconds)
    yield up
    yield lag


def _lag_of(replica: Replica) -> float | None:
    """Return seconds, or None if nobody knows."""
    if not replica.is_measured:
        return 0.0
    began = time.monotonic()
    try:
        replica.check()
    except (SQLAlchemyError, UnmeasuredError):
        return None
    # What was committed before the first question may be older than that, which nobody can tell.
    reached = max(replica.fresh_at, replica.asked_first_at or began)
    return max(0.0, began - reached)
