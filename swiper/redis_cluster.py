"""The application's client of a Redis Cluster: redis-py's own, which connects when the first command is sent.

redis-py's client raises RedisClusterException, which is no RedisError, also when the cluster is away. Here that is a
ConnectionError, so callers treat it like any other outage.
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException, SlotNotCoveredError

from config.redis_urls import read_redis_url
from swiper.redis_client import AppRedis
from swiper.redis_servers import connection_options

# How redis-py begins the errors of a cluster that cannot be used now. Its other errors are faults of the caller.
AWAY = ("Redis Cluster cannot be connected", "All slots are not covered")


@contextmanager
def told_as_outage() -> Iterator[None]:
    """Raise ConnectionError where redis-py says by RedisClusterException that the cluster is away."""
    try:
        yield
    except RedisClusterException as error:
        if isinstance(error, SlotNotCoveredError) or str(error).startswith(AWAY):
            raise RedisConnectionError(str(error)) from error
        raise


class _Pipeline(ClusterPipeline):
    """redis-py's pipeline, with the errors of this module."""

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        with told_as_outage():
            return super().execute(raise_on_error)


class ClusterRedis(AppRedis):
    """Has the methods of redis-py's client of one server, and sends each command to the node that has its key."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        """`options` are those of redis-py's client of one server; `retry` says how often a command is sent again."""
        # There is no pool here: each node has one of its own.
        self.address = read_redis_url(url)
        self.options = dict(options)
        self.making = threading.Lock()
        self.made: RedisCluster | None = None
        # On the monotonic clock: when the last attempt to connect has failed.
        self.failed_at = -math.inf

    def connected(self) -> RedisCluster:
        """Return redis-py's client. Raises ConnectionError if the cluster is away."""
        if self.made is None:
            came = time.monotonic()
            with self.making:
                if self.made is None:
                    self.made = self._connect(came)
        return self.made

    def _connect(self, came: float) -> RedisCluster:
        if self.failed_at >= came:
            # Those who have waited for a failed attempt do not try one after another.
            raise RedisConnectionError("Redis Cluster could not be connected a moment ago")
        options = self.options | connection_options(self.address)
        del options["db"]
        nodes = [ClusterNode(host, port) for host, port in self.address.hosts]
        try:
            with told_as_outage():
                return RedisCluster(startup_nodes=nodes, **options)
        except Exception:
            self.failed_at = time.monotonic()
            raise

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Return the answer to a command. Raises RedisError, and RedisClusterException for keys of several slots."""
        cluster = self.connected()
        with told_as_outage():
            return cluster.execute_command(*args, **options)

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        """See redis-py. All keys of a transaction must be in one slot."""
        pipe = self.connected().pipeline(transaction=transaction)
        pipe.__class__ = _Pipeline
        return pipe

    def execute_together(self, *commands: tuple[Any, ...]) -> list[Any]:
        """See `AppRedis`. The commands for each node leave together."""
        cluster = self.connected()
        with told_as_outage(), self.pipeline(transaction=False) as pipe:
            for command in commands:
                # redis-py would ask the server which keys a script has, once for each script.
                is_script = command[0] == "EVAL"
                pipe.execute_command(
                    *command, **({"target_nodes": cluster.get_node_from_key(command[3])} if is_script else {})
                )
            found: list[Any] = pipe.execute(raise_on_error=False)
            return found

    def scan_iter(self, *args: Any, **options: Any) -> Iterator[Any]:
        """See redis-py. It looks at all nodes."""
        with told_as_outage():
            yield from self.connected().scan_iter(*args, **options)

    def spread_keys(self, name: str) -> list[str]:
        """Return a key for `name` on each node that takes writes. Raises ConnectionError if a slot has no node."""
        nodes = self.connected().nodes_manager
        slots = dict(nodes.slots_cache)
        if len(slots) < REDIS_CLUSTER_HASH_SLOTS:
            raise RedisConnectionError(f"{len(slots)} of {REDIS_CLUSTER_HASH_SLOTS} slots have a node")
        missing = {holders[0].name for holders in slots.values()}
        keys = []
        for number in range(REDIS_CLUSTER_HASH_SLOTS):
            if not missing:
                break
            key = f"{self.key(name)}:{number}"
            holder = slots[key_slot(key.encode())][0].name
            if holder in missing:
                missing.discard(holder)
                keys.append(key)
        return keys

    def get_encoder(self) -> Any:
        """See redis-py. It needs no connection."""
        return Redis().get_encoder()

    def close(self) -> None:
        """See redis-py."""
        if self.made is not None:
            self.made.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.address.hosts)} hosts>"
