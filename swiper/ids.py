"""Makes ids. The database never does, so one machine and many can use the same schema."""

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
    """Return a positive, time-ordered 64-bit id: 41 bits of milliseconds since 2025, then 22 random bits.

    The ids of one process always increase. Processes share no state: two ids of the same millisecond are equal once in
    four million cases. The primary key then refuses the second row, which gets another id. JSON has ids as strings.
    """
    global _last
    with _lock:
        _last = next_id(int(time.time() * 1000), _last)
        return _last


def next_id(now_ms: int, last: int) -> int:
    """Return an id of the Unix time `now_ms`, in milliseconds, that is higher than the `last` one of this process."""
    fresh = (now_ms - EPOCH_MS) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
    return fresh if fresh > last else last + 1 + secrets.randbits(4)


def first_id_at(moment: datetime) -> int:
    """Return the lowest id that can be made at `moment` or later. So the ids of a day are a range of the key."""
    return max(0, int(moment.timestamp() * 1000) - EPOCH_MS) << RANDOM_BITS


def moment_of(own_id: int) -> datetime:
    """Return when an id was made, in UTC, to the millisecond."""
    return datetime.fromtimestamp((EPOCH_MS + (own_id >> RANDOM_BITS)) / 1000, UTC)
