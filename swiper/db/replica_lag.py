"""How far a replica is behind: it has the primary's rows of some moment if it has reached its position of that moment.

A position is that in the log which the servers copy. So no clock is compared, a primary at rest has no lag, and a
replica that has lost its primary has one that grows.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from itertools import takewhile

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from swiper.db.statements import Database, Statement

log = logging.getLogger(__name__)

# By source: the number of the last change from it.
Position = Mapping[str, int]

# By dialect. MySQL and MariaDB each run one of the two comments.
POSITIONS = {
    "postgresql": Statement(
        "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"
        " - '0/0'::pg_lsn)::int8",
        int,
    ),
    "mysql": Statement("SELECT /*M! @@global.gtid_current_pos *//*!50701 @@global.gtid_executed */", str),
}
# A replica that has failed is left alone for so long.
REST_SECONDS = 5.0
# A position is asked for so many times within the time that a replica may lag.
CHECKS = 10
# So many of the primary's positions are kept that the replica has not reached.
MOST_POSITIONS = 4 * CHECKS


class UnmeasuredError(Exception):
    """The servers do not tell a position, so nobody knows how far a replica is behind."""


class Replica:
    """One replica, and the moment whose rows it has at least. Moments are on the monotonic clock of this process."""

    def __init__(self, name: str, database: Database, primary: Database, lag_seconds: float) -> None:
        """`lag_seconds` is how far behind it may be where nothing else is asked for."""
        self.name, self.database, self.primary, self.lag_seconds = name, database, primary, lag_seconds
        self.pause = lag_seconds / CHECKS
        # A file of SQLite is copied by nobody.
        self.is_measured = database.main.dialect.name in POSITIONS
        self.fresh_at = float("-inf")
        self.positions: deque[tuple[float, Position]] = deque(maxlen=MOST_POSITIONS)
        self.checked_at = self.rests_until = float("-inf")
        self.asked_first_at: float | None = None
        self.lock = threading.Lock()

    def is_fresh(self, as_of: float | None = None) -> bool:
        """Return True if it has all that was committed before `as_of`, or `lag_seconds` ago. It may ask the servers."""
        now = time.monotonic()
        if now < self.rests_until:
            return False
        if not self.is_measured:
            return True
        wanted = now - self.lag_seconds if as_of is None else as_of
        is_due = now - self.checked_at >= self.pause
        # The others go by what is known while one of them asks.
        if (is_due or (as_of is not None and self.fresh_at < as_of)) and self.lock.acquire(blocking=False):
            try:
                self.check()
            except (DBAPIError, PoolTimeoutError, UnmeasuredError) as error:
                self.leave(error)
                return False
            finally:
                self.lock.release()
        return self.fresh_at >= wanted

    def check(self) -> None:
        """Ask both servers for their positions. Raises UnmeasuredError and SQLAlchemy's errors."""
        self.checked_at = time.monotonic()
        self.asked_first_at = self.asked_first_at or self.checked_at
        known = self.positions
        if len(known) > 1 and known[-1][0] - known[-2][0] < self.pause:
            known.pop()
        if len(known) < MOST_POSITIONS:
            # Else the oldest would be lost, and a replica that is far behind could never be seen to reach one.
            known.append((self.checked_at, position_of(self.primary)))
        reached = position_of(self.database)
        for moment, _ in list(takewhile(lambda each: has_reached(reached, each[1]), known)):
            known.popleft()
            self.fresh_at = moment

    def leave(self, error: BaseException) -> None:
        """Let nobody read from it for REST_SECONDS, after `error`."""
        self.rests_until = time.monotonic() + REST_SECONDS
        log.warning("%s is left alone for %.0f s: %s", self.name, REST_SECONDS, type(error).__name__)


def has_caught_up(replica: Replica, seconds: float) -> bool:
    """Return True if the replica reaches the primary's position of now within `seconds`.

    Raises UnmeasuredError and SQLAlchemy's errors.
    """
    began = time.monotonic()
    while replica.is_measured and replica.fresh_at < began:
        replica.check()
        if time.monotonic() > began + seconds:
            break
        time.sleep(0.05)
    return not replica.is_measured or replica.fresh_at >= began


def position_of(database: Database) -> Position:
    """Ask a server for its position. Raises UnmeasuredError and SQLAlchemy's errors."""
    dialect = database.main.dialect.name
    (((found,),),) = database.read([(POSITIONS[dialect], {})])
    if dialect == "postgresql":
        # A standby that has replayed nothing yet tells NULL.
        return {"": found or 0}
    if not found:
        raise UnmeasuredError("the server writes no binary log with global transaction ids")
    try:
        return _read_gtids(found)
    except ValueError as error:
        raise UnmeasuredError("the server writes its positions in an unknown form") from error


def has_reached(position: Position, other: Position) -> bool:
    """Return True if all changes of `other` are in `position`."""
    return all(position.get(source, 0) >= number for source, number in other.items())


def _read_gtids(text: str) -> Position:
    """Read `0-1-42,1-7-3` of MariaDB, and `3e11fa47-…:1-42:50-60, …` of MySQL, whose first range is without a gap."""
    position = {}
    for each in text.replace("\n", "").split(","):
        source, mark, ranges = each.strip().partition(":")
        if mark:
            position[source] = int(ranges.partition(":")[0].rpartition("-")[2])
        else:
            domain, _, number = source.split("-")
            position[domain] = int(number)
    return position
