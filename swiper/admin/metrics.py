"""Metrics by day: read from Redis and the database, stored in the table `daily_figures`, listed for the charts."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from swiper.admin.metrics_buffer import KEPT_SECONDS, Metric, counts_key
from swiper.admin.queries import metrics as queries
from swiper.clock import bounds_of, today
from swiper.db.replicas import on_replica
from swiper.db.transactions import transactional
from swiper.extensions import redis
from swiper.ids import first_id_at

# For so many days back, missing days are stored and charts can be shown.
KEPT_DAYS = 90
# A field beside the counts of a day. If it is missing, the day is new or Redis has lost its data.
CHECKED = "checked"
# The metrics that Redis sums up. The others are a maximum, or are computed from the database.
COUNTED = frozenset(Metric) - {Metric.SIGN_UPS, Metric.REVENUE, Metric.QUEUE_PEAK}


def store_metrics() -> int:
    """Store the metrics of today, yesterday and each earlier day that was missed; returns how many days.

    Yesterday is stored again for what was counted shortly before midnight.
    """
    days = [today() - timedelta(days=back) for back in range(KEPT_DAYS)]
    _restore_lost_counts(days[0])
    stored = queries.days_with(Metric.SIGN_UPS, days[-1])
    wanted = [day for day in days if day in days[:2] or day not in stored]
    for day in wanted:
        _store(day, metrics_of(day))
    return len(wanted)


def _restore_lost_counts(day: date) -> None:
    """Add the stored counts of a day to those in Redis, if Redis has lost these and has begun at 0."""
    key = counts_key(day)
    if not redis.client.hsetnx(key, CHECKED, 1):
        return
    redis.client.expire(key, KEPT_SECONDS)
    found: Any = redis.client.hgetall(key)
    for name, stored in queries.metrics_of_day(day, COUNTED).items():
        # The counts of a release without the field are complete.
        if int(found.get(name.encode(), 0)) < stored:
            redis.client.hincrby(key, name, stored)


@transactional
def _store(day: date, values: Mapping[str, int]) -> None:
    # A stored value never falls: data that Redis lost and deleted accounts do not change the past.
    queries.raise_metrics(day, values)


def metrics_of(day: date) -> dict[str, int]:
    """All metrics of a day as they are now: the counts in Redis, and sign-ups and revenue from the database."""
    found: Any = redis.client.hgetall(counts_key(day))
    counts = {name.decode(): int(value) for name, value in found.items()}
    start, end = bounds_of(day)
    # Ids are made in the order of time, so the sign-ups of a day are a range of ids.
    first_id, end_id = first_id_at(start), first_id_at(end)
    sign_ups, revenue = on_replica(lambda: (queries.count_sign_ups(first_id, end_id), queries.sum_paid(start, end)))
    return {metric.value: counts.get(metric, 0) for metric in Metric} | {
        Metric.SIGN_UPS.value: sign_ups,
        Metric.REVENUE.value: revenue,
    }


def series(days: int) -> dict[str, Any]:
    """The last `days` days, the oldest first: `days` (ISO 8601), a list for each metric, `match_rate` in percent."""
    shown = [today() - timedelta(days=back) for back in reversed(range(days))]
    table: dict[str, list[int]] = {metric.value: [0] * days for metric in Metric}
    place = {day: number for number, day in enumerate(shown)}
    stored = on_replica(lambda: [(row.day, row.name, row.value) for row in queries.metrics_since(shown[0])])
    for day, name, value in stored:
        if day in place and name in table:
            table[name][place[day]] = value
    # The beat stores once a minute; today is shown as it is now.
    for name, value in metrics_of(shown[-1]).items():
        table[name][-1] = max(table[name][-1], value)
    return {"days": [day.isoformat() for day in shown], "match_rate": list(_match_rates(table))} | table


def _match_rates(table: Mapping[str, list[int]]) -> Iterable[float | None]:
    """Matches per hundred likes of each day; None for a day without likes."""
    for matches, likes in zip(table[Metric.MATCHES], table[Metric.LIKES], strict=True):
        yield round(100 * matches / likes, 2) if likes else None
