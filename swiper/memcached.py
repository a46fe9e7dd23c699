"""The memcached backend with a time limit, for `CACHE_TYPE=memcached`.

libmemcached waits inside C, where gevent cannot switch to another request: with its default of 5 s one frozen memcached
stands a whole worker still (measured with a stopped server).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pylibmc
from flask_caching.backends.memcache import MemcachedCache

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


class QuickMemcachedCache(MemcachedCache):
    """Flask-Caching's memcached backend over clients that give up soon."""

    def _create_pylibmc(
        self, servers: Any, pool_size: int, pool_blocking: bool = True
    ) -> tuple[Any, Callable[[], Any]]:
        pool = pylibmc.ClientPool(pylibmc.Client(servers, behaviors=BEHAVIORS), CLIENTS)
        return pool, partial(pool.reserve, block=pool_blocking)
