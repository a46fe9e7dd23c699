"""Ids are made here, never by the database, so that one machine and many use the same schema."""

import secrets
import threading
import time
from datetime import UTC, datetime

EPOCH_MS = 1_735_689_600_000  # 2025-01-01 UTC
RANDOM_BITS = 22
MAX_ID = 2**63 - 1

_lock = threading.Lock()
_last = 0


def new_id() -> int:
    """A positive, time-ordered 64-bit id: 41 bits of milliseconds since 2025, then 22 random bits.

    Ids of one process always rise. Processes share no state: two that draw in the same millisecond collide once in
    four million, and the primary key refuses the second. JSON carries ids as strings.
    """
    global _last
    with _lock:
        fresh = (int(time.time() * 1000) - EPOCH_MS) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
        _last = fresh if fresh > _last else _last + 1 + secrets.randbits(4)
        return _last


def first_id_at(moment: datetime) -> int:
    """The lowest id that can have been made at `moment` or later, so that a day's ids are a range of the key."""
    return max(0, int(moment.timestamp() * 1000) - EPOCH_MS) << RANDOM_BITS


def moment_of(own_id: int) -> datetime:
    """When an id was made, in UTC, to the millisecond."""
    return datetime.fromtimestamp((EPOCH_MS + (own_id >> RANDOM_BITS)) / 1000, UTC)
