"""The other files of `deploy/ha`: servers are started from them, and a master of Redis is lost behind HAProxy."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from chaos.engines.proxies import CONFIGURATION, HAProxy
from chaos.engines.registry import engine
from chaos.engines.trial import Trial
from chaos.lab import POSTGRES
from chaos.replication import PgBouncer
from chaos.servers import RedisServer, Server, run
from config.settings import ROOT
from deploy.processes import wait_until

FOLDER = ROOT / "deploy/ha"
NEEDS = {"haproxy": "haproxy", "pgbouncer": "pgbouncer", "redis-sentinel": "redis-sentinel"}
BACK_SECONDS = 20.0
# `down-after-milliseconds` of the file, a second of HAProxy's checks, and what the Sentinels need to agree.
FAILOVER_SECONDS = 10.0


def _on_loopback(name: str) -> str:
    return (FOLDER / name).read_text().replace("bind 0.0.0.0", "bind 127.0.0.1")


class DeployedRedis(RedisServer):
    """One of the servers; a replica where `master` is another one."""

    password = "change-me"  # noqa: S105 - as in the files

    def __init__(self, folder: Path, master: "DeployedRedis | None" = None) -> None:
        super().__init__(folder)
        self.master = master
        text = _on_loopback("redis.conf").replace("port 6379", f"port {self.port}")
        follows = f"replicaof 127.0.0.1 {master.port}\n" if master else ""
        self.file = folder / "redis.conf"
        self.file.write_text(f"{text}{follows}dir {folder}\nrepl-diskless-sync-delay 0\n")

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return (self.program_name, self.file)


class Sentinel(RedisServer):
    """A Sentinel that watches `master`."""

    def __init__(self, folder: Path, master: DeployedRedis) -> None:
        super().__init__(folder)
        text = _on_loopback("sentinel.conf").replace("port 26379", f"port {self.port}")
        text = text.replace("10.0.0.31 6379", f"127.0.0.1 {master.port}")
        self.file = folder / "sentinel.conf"
        self.file.write_text(f"{text}dir {folder}\n")

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return ("redis-sentinel", self.file)

    def knows(self, replicas: int, others: int) -> bool:
        """True when it has found so many replicas and other Sentinels."""
        with Redis(port=self.port, decode_responses=True) as client:
            (state,) = client.sentinel_masters().values()
        return bool(state["num-slaves"] == replicas and state["num-other-sentinels"] == others)


@engine("The files of deploy/ha", NEEDS)
def ha_files(trial: Trial) -> None:
    """What Patroni's and Galera's engines do not use of them."""
    run("haproxy", "-c", "-f", CONFIGURATION)
    server = trial.lab.server(POSTGRES)
    server.create_database("pooled")
    with PgBouncer(trial.folder("pgbouncer"), server, "pooled") as pooler:
        trial.check("pgbouncer.ini", "started from it", "it leads to PostgreSQL", pooler.ask("SELECT 1"), True)
    with ExitStack() as stack:
        master = stack.enter_context(DeployedRedis(trial.folder("redis1")))
        replicas = [stack.enter_context(DeployedRedis(trial.folder(f"redis{number}"), master)) for number in (2, 3)]
        sentinels = [stack.enter_context(Sentinel(trial.folder(f"sentinel{n}"), master)) for n in (1, 2, 3)]
        servers = {f"REDIS_{n}": f"127.0.0.1:{each.port}" for n, each in enumerate([master, *replicas], 1)}
        proxy = stack.enter_context(HAProxy(trial.folder("haproxy"), "REDIS", servers))
        for sentinel in sentinels:
            wait_until(lambda each=sentinel: each.knows(2, 2), BACK_SECONDS, "a Sentinel does not find the others")
        wait_until(lambda: _writes(proxy), BACK_SECONDS, "HAProxy finds no master")
        started = time.monotonic()
        master.kill()
        wait_until(lambda: _writes(proxy), BACK_SECONDS, "no other master")
        seconds = time.monotonic() - started
        trial.check(
            "redis.conf, sentinel.conf and haproxy.cfg",
            "three servers and three Sentinels; the master is killed",
            f"HAProxy leads to one that takes writes within {FAILOVER_SECONDS:.0f} s",
            f"after {seconds:.1f} s",
            seconds <= FAILOVER_SECONDS,
        )


def _writes(server: Server) -> bool:
    password = DeployedRedis.password
    with Redis(port=server.port, password=password, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
        try:
            return bool(client.set("key", "value"))
        except RedisError:
            return False
