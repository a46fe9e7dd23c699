"""Counts of this process from places that each request passes, or that have no application, such as pools and logging.

To count is one step without a lock, so threads may lose one count in many. The buffer of metrics takes them whenever it
sends (`swiper/admin/metrics_buffer.py`).
"""

import logging
from collections import Counter
from enum import StrEnum

MICRO = 1_000_000


class Tally(StrEnum):
    """What is counted. Those that end in a colon are followed by a name; times are in microseconds."""

    CACHE_LOOKUPS = "cache_lookups:"
    POOL_WAITS = "pool_waits"
    POOL_WAIT_MICROS = "pool_wait_micros"
    POOL_TIMEOUTS = "pool_timeouts"
    REPLICA_READS = "replica_reads:"
    SWEPT = "swept:"
    ERRORS = "errors:"


# Where a value was found: in the copy of this process, in the cache, or nowhere.
COPY, HIT, MISS = (f"{Tally.CACHE_LOOKUPS}{found}" for found in ("copy", "hit", "miss"))
OTHER = "other"

tallies: Counter[str] = Counter()


def count_pool_wait(seconds: float, *, is_served: bool) -> None:
    """Count a wait for a connection to the database, and whether there was one in time."""
    tallies[Tally.POOL_WAITS] += 1
    tallies[Tally.POOL_WAIT_MICROS] += int(seconds * MICRO)
    if not is_served:
        tallies[Tally.POOL_TIMEOUTS] += 1


def take_tallies() -> dict[str, int]:
    """Return what was counted since the last call."""
    # Another thread may count something new meanwhile, which ends an iteration over the tallies themselves.
    taken = {name: number for name, number in tallies.copy().items() if number}
    tallies.subtract(taken)
    return taken


class ErrorTally(logging.Handler):
    """Counts the records that it gets by the part of Swiper that has logged them. `config/logging.py` names it."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        package, _, rest = record.name.partition(".")
        tallies[f"{Tally.ERRORS}{rest.partition('.')[0] if package == 'swiper' and rest else OTHER}"] += 1
