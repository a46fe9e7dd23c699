"""PostgreSQL kept by Patroni, with HAProxy in front: the files of `deploy/ha`, on addresses of our own."""

import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import requests
import yaml  # type: ignore[import-untyped]

from chaos.engines.proxies import HAProxy
from chaos.engines.registry import engine
from chaos.engines.trial import Trial
from chaos.servers import DatabaseServer, Server, as_user
from config.settings import ROOT
from deploy.processes import wait_until
from tests.processes import free_port

NEEDS = {"patroni": "patroni", "etcd": "etcd-server", "haproxy": "haproxy"}
# A replica is made, and a lost lock runs out: `ttl` of the file is 20 s.
PATIENCE_SECONDS = 60.0
SWITCH_SECONDS, KILL_SECONDS = 15.0, 40.0


class Etcd(Server):
    """Where Patroni keeps its lock; one server, where a site has three."""

    def command(self) -> Sequence[object]:
        """See `Server`."""
        peers = f"http://127.0.0.1:{free_port()}"
        return (
            *("etcd", "--data-dir", self.folder / "data", "--log-level", "error"),
            *("--listen-client-urls", self.url, "--advertise-client-urls", self.url),
            *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
            *("--initial-cluster", f"default={peers}"),
        )

    @property
    def url(self) -> str:
        """Where Patroni asks."""
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        """See `Server`."""
        return _status(f"{self.url}/health") == 200


class PatroniNode(Server):
    """One Patroni and the PostgreSQL that it runs."""

    user = "postgres"

    def __init__(self, folder: Path, etcd: Etcd) -> None:
        super().__init__(folder)
        self.api_port = free_port()
        settings: Any = yaml.safe_load((ROOT / "deploy/ha/patroni.yml").read_text())
        del settings["etcd3"]["hosts"]
        settings["etcd3"]["host"] = f"127.0.0.1:{etcd.port}"
        settings["name"] = folder.name
        settings["restapi"] = dict.fromkeys(("listen", "connect_address"), f"127.0.0.1:{self.api_port}")
        server = settings["postgresql"]
        server |= dict.fromkeys(("listen", "connect_address"), f"127.0.0.1:{self.port}")
        server |= {"data_dir": str(folder / "data"), "pgpass": str(folder / "pgpass")}
        server["parameters"] = {"unix_socket_directories": str(folder)}
        server["pg_hba"] = [line.replace("10.0.0.0/24", "127.0.0.0/8") for line in server["pg_hba"]]
        self.password: str = server["authentication"]["superuser"]["password"]
        self.file = folder / "patroni.yml"
        self.file.write_text(yaml.safe_dump(settings))

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return (*as_user(self.user), "patroni", self.file)

    def answers(self) -> bool:
        """See `Server`: PostgreSQL runs, as the primary or as a replica that follows it."""
        return self.api("primary") == 200 or self.api("replica") == 200

    def api(self, name: str) -> int:
        """The status of Patroni's own API, which HAProxy asks as well; 0 where it does not answer."""
        return _status(f"http://127.0.0.1:{self.api_port}/{name}")

    def switch_to(self, other: "PatroniNode") -> None:
        """Hand the primary over, as an operator does before work on its machine."""
        names = {"leader": self.folder.name, "candidate": other.folder.name}
        answer = requests.post(f"http://127.0.0.1:{self.api_port}/switchover", json=names, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 200, answer.text

    def kill(self) -> None:
        """See `Server`. PostgreSQL is no child of Patroni, so that it outlives a restart of Patroni."""
        super().kill()
        file = self.folder / "data/postmaster.pid"
        if not file.exists():
            return
        try:
            postmaster = psutil.Process(int(file.read_text().split()[0]))
            family = [postmaster, *postmaster.children()]
        except psutil.NoSuchProcess:
            return
        for process in family:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=PATIENCE_SECONDS)


class Primary(DatabaseServer):
    """Whatever server HAProxy leads to."""

    def __init__(self, folder: Path, proxy: HAProxy, password: str) -> None:
        super().__init__(folder)
        self.proxy, self.password = proxy, password

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return self.proxy.command()

    def url(self, database: str) -> str:
        """See `DatabaseServer`."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.proxy.port}/{database}"

    @property
    def admin_url(self) -> str:
        """See `DatabaseServer`."""
        return self.url("postgres")


def _status(url: str) -> int:
    try:
        return int(requests.get(url, timeout=5).status_code)
    except requests.RequestException:
        return 0


@engine("PostgreSQL with Patroni behind HAProxy", NEEDS)
def patroni(trial: Trial) -> None:
    """The primary is handed over, and in the long form killed together with its Patroni."""
    with ExitStack() as stack:
        etcd = stack.enter_context(Etcd(trial.folder("etcd")))
        first, second = (PatroniNode(trial.folder(f"node{number}"), etcd) for number in (1, 2))
        for node in (first, second):
            stack.enter_context(node)
        nodes = {f"POSTGRES_{number}": f"127.0.0.1:{node.port}" for number, node in enumerate((first, second), 1)}
        checks = {f"PATRONI_{number}": str(node.api_port) for number, node in enumerate((first, second), 1)}
        proxy = stack.enter_context(HAProxy(trial.folder("haproxy"), "POSTGRES", nodes | checks))
        primary = Primary(trial.folder("primary"), proxy, first.password)
        wait_until(primary.answers, PATIENCE_SECONDS, "HAProxy finds no primary")
        # Until the replica is a synchronous one, a handover could lose what was acknowledged.
        wait_until(lambda: second.api("synchronous") == 200, PATIENCE_SECONDS, "the replica is not synchronous")
        trial.version = primary.version
        with trial.new_site(primary.create_database("swiper")) as site:
            if not trial.is_short:
                trial.travel(site)
                trial.race(site)
            trial.endure(site, "primary handed over", lambda: first.switch_to(second), SWITCH_SECONDS)
            if not trial.is_short:
                wait_until(lambda: first.api("synchronous") == 200, PATIENCE_SECONDS, "the replica does not follow")
                trial.endure(site, "primary killed with its Patroni", second.kill, KILL_SECONDS)
