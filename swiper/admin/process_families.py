"""The families of `/metrics` about the processes: cache, pools, sweeps, errors; and how counts become a family."""

import logging
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, SummaryMetricFamily
from prometheus_client.core import Metric as Family

from swiper.admin.metrics_buffer import Count
from swiper.db.replicas import FAILED, SERVED, STALE
from swiper.tallies import MICRO, OTHER, Tally

# They are shown from the start, since `increase()` does not see the first value of a new series.
CACHE_REASONS = ("away", "refused", "fault")
RESULTS = ("copy", "hit", "miss")


def families_of_processes(known: dict[str, int]) -> Iterator[Family]:
    """What `known`, the counts of a day, has of the processes."""
    reasons = shown(known, Count.CACHE_ERRORS, CACHE_REASONS)
    yield counter("swiper_cache_errors", "Calls of the cache that failed.", "reason", reasons)
    lookups = shown(known, Tally.CACHE_LOOKUPS, RESULTS)
    yield counter("swiper_cache_lookups", "Where cached values were found.", "result", lookups)
    waits = SummaryMetricFamily("swiper_pool_wait_seconds", "Waits for a connection to the database.", labels=[])
    waits.add_metric([], known.get(Tally.POOL_WAITS, 0), known.get(Tally.POOL_WAIT_MICROS, 0) / MICRO)
    yield waits
    timeouts = CounterMetricFamily("swiper_pool_timeouts", "Waits that ended without a connection.")
    timeouts.add_metric([], known.get(Tally.POOL_TIMEOUTS, 0))
    yield timeouts
    reads = shown(known, Tally.REPLICA_READS, (SERVED, STALE, FAILED))
    yield counter("swiper_replica_reads", "Reads that a replica may answer, by what came of it.", "result", reads)
    swept = CounterMetricFamily("swiper_swept", "Items that sweeps worked on.", labels=["sweep", "state"])
    for name, number in named(known, Tally.SWEPT):
        sweep, _, state = name.rpartition(":")
        swept.add_metric([sweep, state], number)
    yield swept
    errors = shown(known, Tally.ERRORS, [*sorted(_logging_parts()), OTHER])
    yield counter("swiper_errors", "Lines of the log with the level ERROR.", "part", errors)


def _logging_parts() -> set[str]:
    """The parts of Swiper that log, by the loggers of this process."""
    return {name.split(".")[1] for name in logging.root.manager.loggerDict if name.startswith("swiper.")}


def named(known: dict[str, int], prefix: str) -> list[tuple[str, int]]:
    """The counts whose names begin with `prefix`, by the rest of their names."""
    return sorted((name.removeprefix(prefix), number) for name, number in known.items() if name.startswith(prefix))


def shown(known: dict[str, int], prefix: str, names: Iterable[str]) -> Iterable[tuple[str, int]]:
    """The same, with 0 for those of `names` that are missing."""
    return (dict.fromkeys(names, 0) | dict(named(known, prefix))).items()


def counter(name: str, text: str, label: str, numbers: Iterable[tuple[str, int]]) -> CounterMetricFamily:
    """A family of counters with one label, whose values come with the numbers."""
    family = CounterMetricFamily(name, text, labels=[label])
    for value, number in numbers:
        family.add_metric([value], number)
    return family
