"""The memcached backend with a time limit, for `CACHE_TYPE=memcached`.

libmemcached waits inside C, where gevent cannot switch to another request: with its default of 5 s one frozen memcached
stands a whole worker still (measured with a stopped server).
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
    # These two are microseconds.
    "send_timeout": TIMEOUT_MS * 1000,
    "receive_timeout": TIMEOUT_MS * 1000,
}
# A client serves one greenlet or thread at a time.
CLIENTS = 8
# memcached keeps this number with each value; pylibmc's own numbers mean text, numbers and pickle.
PACKED_FLAG = 1 << 10
# Our own mistakes. Everything else that pylibmc raises says that the server cannot be reached or does not answer.
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
    """Stores msgpack, and takes every value with another mark for missing."""

    serializer = PackedSerializer()

    def serialize(self, value: Any) -> tuple[bytes, int]:
        """See pylibmc."""
        return self.serializer.dumps(value), PACKED_FLAG

    def deserialize(self, packed: bytes, flags: int) -> Any:
        """See pylibmc, for which CacheMiss says that there is no value."""
        value = self.serializer.loads(packed) if flags == PACKED_FLAG else None
        if value is None:
            raise pylibmc.CacheMiss()
        return value


class QuickMemcachedCache(MemcachedCache):
    """Flask-Caching's memcached backend over clients that give up soon."""

    def _create_pylibmc(
        self, servers: Any, pool_size: int, pool_blocking: bool = True
    ) -> tuple[Any, Callable[[], Any]]:
        pool = pylibmc.ClientPool(PackedClient(servers, behaviors=BEHAVIORS), CLIENTS)
        return pool, partial(_reserve, pool, pool_blocking)


@contextmanager
def _reserve(pool: Any, is_blocking: bool) -> Iterator[Any]:
    """A client of the pool. Raises ConnectionError where the server is away."""
    try:
        with pool.reserve(block=is_blocking) as client:
            yield client
    except FAULTS:
        raise
    except pylibmc.Error as error:
        raise ConnectionError(f"memcached: {type(error).__name__}") from error
