"""Tells outages of servers from faults. A fault is any error that is no outage, and is logged with a traceback."""

import re

from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import ClusterError, OutOfMemoryError, ReadOnlyError, ResponseError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

# A ClusterError is CLUSTERDOWN, MASTERDOWN, or a slot that moves all the time.
REFUSALS = (ReadOnlyError, OutOfMemoryError, ClusterError, TryAgainError)
# redis-py has no class for some of them. Redis 6 writes `ERR Error running script …: -` before a script's own error.
REFUSAL = re.compile(
    r"(?:^|: -?)(?:READONLY|OOM|MISCONF|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|NOREPLICAS|UNKILLABLE|UNBLOCKED) "
)
# Our own error text for a database that did not answer in time.
NO_ANSWER = "no answer in time"
# PostgreSQL (appendix A of its manual): lost connections; shutting down, starting, read-only after a failover.
MOVED_CLASSES = ("08",)
MOVED_STATES = frozenset({"25006", "57P01", "57P02", "57P03"})
# Too many connections, full disk or memory; errors of its machine.
SHORT_CLASSES = ("53", "58")
# MariaDB's and PyMySQL's: Galera is not ready, shutdown, read-only in three ways, and lost connections.
MOVED_NUMBERS = frozenset({1047, 1053, 1290, 1792, 1836, 2006, 2013, 2055})
# Too many connections in all, full disk, full table, no connection at all; a lock, or the changes of other nodes of
# Galera, waited for too long.
SHORT_NUMBERS = frozenset({1021, 1040, 1114, 1205, 2002, 2003})


def is_server_moved(error: BaseException | None) -> bool:
    """Return True for a driver's error which means that this server takes no work, or no writes.

    After a failover another server may have the same address, so all connections to this one must be closed. An error
    about a missing answer does not mean this: other greenlets still wait for answers on the same connections.
    """
    state, number = _told_by_driver(error)
    if is_silence(error):
        return False
    return state in MOVED_STATES or state.startswith(MOVED_CLASSES) or number in MOVED_NUMBERS


def is_silence(error: BaseException | None) -> bool:
    """Return True for our own error about a database that did not answer in time."""
    return NO_ANSWER in getattr(error, "args", ())


def is_database_outage(error: BaseException | None) -> bool:
    """Return True for a driver's error that is temporary: as in `is_server_moved`, or a shortage of the server."""
    state, number = _told_by_driver(error)
    return is_silence(error) or is_server_moved(error) or state.startswith(SHORT_CLASSES) or number in SHORT_NUMBERS


def _told_by_driver(error: BaseException | None) -> tuple[str, int]:
    """Return PostgreSQL's SQLSTATE and MariaDB's number, each empty if the error has none."""
    number = next(iter(getattr(error, "args", ())), None)
    return getattr(error, "sqlstate", None) or "", number if isinstance(number, int) else 0


def is_redis_away(error: BaseException) -> bool:
    """Return True if Redis could not be reached, or did not answer in time."""
    return isinstance(error, RedisConnectionError | RedisTimeoutError)


def is_redis_refusing(error: BaseException) -> bool:
    """Return True if Redis answers but refuses the command for a temporary reason.

    Such reasons are a failover (READONLY, MASTERDOWN, CLUSTERDOWN, TRYAGAIN), full memory (OOM), a disk that takes no
    snapshot (MISCONF), missing replicas (NOREPLICAS), and a script that runs too long (BUSY).
    UNBLOCKED ends a command that waits while a server becomes a replica.
    """
    return isinstance(error, REFUSALS) or (isinstance(error, ResponseError) and bool(REFUSAL.search(str(error))))


def is_redis_outage(error: BaseException) -> bool:
    """Return True if Redis cannot be used now, for either reason."""
    return is_redis_away(error) or is_redis_refusing(error)


def is_cache_away(error: BaseException) -> bool:
    """Return True if the cache of any backend could not be reached. `OSError` includes time-outs and full disks."""
    return is_redis_away(error) or isinstance(error, OSError)


def is_broker_outage(error: BaseException) -> bool:
    """Return True if the broker cannot be reached or takes no message now."""
    return is_redis_outage(error) or isinstance(error, BrokerError | OSError)
