"""Which errors say that a server cannot be used at this moment. Every other error is a fault, and is logged as one."""

import re

from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import ClusterDownError, OutOfMemoryError, ReadOnlyError, ResponseError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

REFUSALS = (ReadOnlyError, OutOfMemoryError, ClusterDownError, TryAgainError)
# redis-py has no class for some of them. Redis 6 puts a script's own error behind `ERR Error running script …: -`.
REFUSAL = re.compile(
    r"(?:^|: -?)(?:READONLY|OOM|MISCONF|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|NOREPLICAS|UNKILLABLE|UNBLOCKED) "
)


def is_redis_away(error: BaseException) -> bool:
    """True where Redis could not be reached, or did not answer in time."""
    return isinstance(error, RedisConnectionError | RedisTimeoutError)


def is_redis_refusing(error: BaseException) -> bool:
    """True where Redis answers but refuses the command for a reason that passes by itself.

    Such reasons are a failover (READONLY, MASTERDOWN, CLUSTERDOWN, TRYAGAIN), full memory (OOM), a disk that takes no
    snapshot (MISCONF), missing replicas (NOREPLICAS), and a script that runs too long (BUSY).
    UNBLOCKED ends a command that waits while a server becomes a replica.
    """
    return isinstance(error, REFUSALS) or (isinstance(error, ResponseError) and bool(REFUSAL.search(str(error))))


def is_redis_outage(error: BaseException) -> bool:
    """True where Redis cannot be used now, for either reason."""
    return is_redis_away(error) or is_redis_refusing(error)


def is_cache_away(error: BaseException) -> bool:
    """True where the cache could not be reached, whatever keeps it; `OSError` includes time-outs and full disks."""
    return is_redis_away(error) or isinstance(error, OSError)


def is_broker_outage(error: BaseException) -> bool:
    """True where the broker cannot be reached or takes no message now."""
    return is_redis_outage(error) or isinstance(error, BrokerError | OSError)
