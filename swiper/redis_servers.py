"""The connections to what REDIS_URL names: one Redis, or the master that Sentinels know. `redis_cluster` has clusters.

A pool for Sentinels asks them for the master's address before each new connection. So after a failover the next
connection goes to the new master.
"""

from typing import Any

from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, parse_url
from redis.retry import Retry
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from config.redis_urls import RedisAddress, RedisKind, kind_of, read_redis_url
from swiper.redis_client import AppPool


class MasterConnection(SentinelManagedConnection):
    """A connection to the master, which is closed when its answer does not come in time.

    redis-py's own goes back to the pool. The late answer would then be that of the next command.
    """

    def read_response(self, *args: Any, **options: Any) -> Any:
        """See redis-py."""
        return super().read_response(*args, **options | {"disconnect_on_error": True})


class MasterTLSConnection(MasterConnection, SentinelManagedSSLConnection):
    """The same with TLS."""


def make_pool(url: str, options: dict[str, Any]) -> ConnectionPool:
    """Return a pool for the URL of a Redis or of Sentinels; `options` are redis-py's. It connects to nothing yet."""
    if kind_of(url) is RedisKind.SERVER:
        return AppPool.from_url(url, **options)
    address = read_redis_url(url)
    sentinel = Sentinel(address.hosts, sentinel_kwargs=sentinel_options(address, options))
    own = connection_options(address)
    kind = MasterTLSConnection if own.pop("ssl", False) else MasterConnection
    # What the URL says counts, as for a single Redis.
    return SentinelConnectionPool(address.master, sentinel, **options | own | {"connection_class": kind})


def connection_options(address: RedisAddress) -> dict[str, Any]:
    """Return the options of a connection to a Redis of `address`, without host and port."""
    options = tls_options(address) | {"db": address.database}
    if address.user:
        options["username"] = address.user
    if address.password:
        options["password"] = address.password
    return options


def sentinel_options(address: RedisAddress, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a connection to a Sentinel. It is asked once, and then the next Sentinel."""
    limits = {name: value for name, value in options.items() if name.startswith("socket_")}
    own = limits | tls_options(address) | {"retry": Retry(NoBackoff(), 0)}
    if address.sentinel_user:
        own["username"] = address.sentinel_user
    if address.sentinel_password:
        own["password"] = address.sentinel_password
    return own


def tls_options(address: RedisAddress) -> dict[str, Any]:
    """Return redis-py's options that stand in the URL, which are those of TLS."""
    found: dict[str, Any] = parse_url(address.as_one)
    for name in ("host", "port", "db", "connection_class"):
        found.pop(name, None)
    return found | ({"ssl": True} if address.has_tls else {})
