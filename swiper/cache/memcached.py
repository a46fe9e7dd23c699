"""The memcached backend with a time limit, for `CACHE_TYPE=memcached`.

libmemcached waits in C code, where gevent cannot switch to another request. With its default limit of 5 s, a memcached
that does not answer blocks a whole worker (measured with a stopped server).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pylibmc
from flask_caching.backends.memcache import MemcachedCache

from swiper.cache.backends import PackedSerializer

TIMEOUT_MS = 200
BEHAVIORS = {
    "tcp_nodelay": True,
    "connect_timeout": TIMEOUT_MS,
    "_poll_timeout": TIMEOUT_MS,
    # These two are in microseconds.
    "send_timeout": TIMEOUT_MS * 1000,
    "receive_timeout": TIMEOUT_MS * 1000,
}
# A client serves one greenlet or thread at a time.
CLIENTS = 8
# memcached stores this flag with each value. pylibmc's own flags mean text, numbers and pickle.
PACKED_FLAG = 1 << 10
# Errors of our own code. All other errors of pylibmc mean that the server cannot be reached or does not answer.
FAULTS = (
    pylibmc.AllocationError,
    pylibmc.BadKeyProvided,
    pylibmc.ClientError,
    pylibmc.InvalidHostProtocolError,
    pylibmc.NotSupportedError,
    pylibmc.ProtocolError,
    pylibmc.TooBig,
)


class PackedClient(pylibmc.Client):  # type: ignore[misc]
    """Stores values as msgpack. A value with another flag counts as missing."""

    serializer = PackedSerializer()

    def serialize(self, value: Any) -> tuple[bytes, int]:
        """See pylibmc."""
        return self.serializer.dumps(value), PACKED_FLAG

    def deserialize(self, packed: bytes, flags: int) -> Any:
        """See pylibmc. Raises CacheMiss if there is no value that this class has written."""
        value = self.serializer.loads(packed) if flags == PACKED_FLAG else None
        if value is None:
            raise pylibmc.CacheMiss()
        return value


class TimeLimitedMemcachedCache(MemcachedCache):
    """Flask-Caching's memcached backend, with clients that wait only for a short time."""

    def _create_pylibmc(
        self, servers: Any, pool_size: int, pool_blocking: bool = True
    ) -> tuple[Any, Callable[[], Any]]:
        pool = pylibmc.ClientPool(PackedClient(servers, behaviors=BEHAVIORS), CLIENTS)
        return pool, partial(_reserve, pool, pool_blocking)


@contextmanager
def _reserve(pool: Any, is_blocking: bool) -> Iterator[Any]:
    """Lend a client of the pool. Raises ConnectionError if the server cannot be reached or does not answer."""
    try:
        with pool.reserve(block=is_blocking) as client:
            yield client
    except FAULTS:
        raise
    except pylibmc.Error as error:
        raise ConnectionError(f"memcached: {type(error).__name__}") from error
