"""Several Redis servers that belong together: a master with replicas and Sentinels, or a cluster."""

from collections.abc import Sequence
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from chaos.server_group import ServerGroup
from chaos.servers import RedisServer, run
from deploy.processes import wait_until

MASTER = "swiper"
# A server that has not answered for so long is taken for dead.
DOWN_MS = 1_000
PATIENCE_SECONDS = 60


class Replica(RedisServer):
    """A Redis that follows the one at `master_port`."""

    def __init__(self, folder: Path, master_port: int) -> None:
        super().__init__(folder)
        self.master_port = master_port

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return (*super().command(), "--replicaof", "127.0.0.1", self.master_port, "--repl-diskless-sync-delay", 0)


class Sentinel(RedisServer):
    """One of those who watch the master at `master_port`, and replace it when two of them find it dead."""

    def __init__(self, folder: Path, master_port: int) -> None:
        super().__init__(folder)
        # A Sentinel writes into this file what it learns.
        self.file = folder / "sentinel.conf"
        self.file.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor {MASTER} 127.0.0.1 {master_port} 2\n"
            f"sentinel down-after-milliseconds {MASTER} {DOWN_MS}\n"
            f"sentinel failover-timeout {MASTER} 5000\n"
        )

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return ("redis-server", self.file, "--sentinel")


class ClusterNode(RedisServer):
    """A node of a cluster."""

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return (
            *super().command(),
            *("--cluster-enabled", "yes", "--cluster-node-timeout", DOWN_MS, "--repl-diskless-sync-delay", 0),
        )


class RedisGroup(ServerGroup):
    """Servers that belong together. `url` is what REDIS_URL is set to."""

    url: str

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.servers: list[RedisServer] = []

    def form(self) -> None:
        """Return when the servers, which have started, belong together."""
        raise NotImplementedError

    def master(self) -> RedisServer:
        """Return a server that takes writes now."""
        raise NotImplementedError

    def start(self) -> None:
        """See `ServerGroup`."""
        for server in self.servers:
            self.stack.enter_context(server)
        self.form()


class SentinelGroup(RedisGroup):
    """A master, two replicas and three Sentinels."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.first = RedisServer(folder / "redis-1")
        replicas = [Replica(folder / f"redis-{number}", self.first.port) for number in (2, 3)]
        self.sentinels = [Sentinel(folder / f"sentinel-{number}", self.first.port) for number in (1, 2, 3)]
        self.servers = [self.first, *replicas, *self.sentinels]
        self.url = f"sentinel://{_hosts(self.sentinels)}/0?master={MASTER}"

    def form(self) -> None:
        """See `RedisGroup`."""
        wait_until(lambda: all(map(_knows_all, self.sentinels)), PATIENCE_SECONDS, "the Sentinels do not know all")
        wait_until(lambda: _is_followed(self.first, 2), PATIENCE_SECONDS, "the replicas do not follow")

    def master(self) -> RedisServer:
        """Return the server that the Sentinels call the master. A former one calls itself so for a while."""
        with Redis(port=self.sentinels[0].port, socket_timeout=1) as client:
            port = client.sentinel_master(MASTER)["port"]
        return next(server for server in self.servers if server.port == port)


class ClusterGroup(RedisGroup):
    """Three masters, and a replica of each."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.servers = [ClusterNode(folder / f"node-{number}") for number in range(6)]
        self.url = f"redis://{_hosts(self.servers)}/0?cluster=true"

    def form(self) -> None:
        """See `RedisGroup`."""
        hosts = _hosts(self.servers).split(",")
        run("redis-cli", "--cluster", "create", *hosts, "--cluster-replicas", 1, "--cluster-yes")
        wait_until(lambda: all(map(_is_formed, self.servers)), PATIENCE_SECONDS, "the nodes form no cluster")

    def master(self) -> RedisServer:
        """Return one of the masters."""
        return next(server for server in self.servers if role_of(server) == "master")


def _hosts(servers: Sequence[RedisServer]) -> str:
    return ",".join(f"127.0.0.1:{server.port}" for server in servers)


def role_of(server: RedisServer) -> str:
    """Return master, slave, or nothing for a server that does not answer."""
    with Redis(port=server.port, socket_timeout=1) as client:
        try:
            return str(client.role()[0].decode())
        except RedisError:
            return ""


def _knows_all(sentinel: RedisServer) -> bool:
    with Redis(port=sentinel.port, socket_timeout=1) as client:
        state = client.sentinel_master(MASTER)
    return bool((state["num-other-sentinels"], state["num-slaves"]) == (2, 2))


def _is_followed(master: RedisServer, count: int) -> bool:
    with Redis(port=master.port, socket_timeout=1) as client:
        found = client.info("replication")
    return [found.get(f"slave{number}", {}).get("state") for number in range(count)] == ["online"] * count


def _is_formed(node: RedisServer) -> bool:
    with Redis(port=node.port, socket_timeout=1) as client:
        state = client.execute_command("CLUSTER INFO")
        found = client.info("replication")
    follows = found["role"] == "slave" and found["master_link_status"] == "up"
    leads = found["role"] == "master" and found["connected_slaves"] == 1
    return bool(state["cluster_state"] == "ok" and (follows or leads))
