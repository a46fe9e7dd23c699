"""MariaDB Galera: two nodes that both take writes, and an arbitrator, on this machine's loopback."""

import configparser
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pymysql  # type: ignore[import-untyped]
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from chaos.burst import Answer, burst
from chaos.engines.proxies import HAProxy
from chaos.engines.registry import engine
from chaos.engines.trial import Trial
from chaos.members import Member
from chaos.requests import REFUSED, SERVED, UNAVAILABLE, WITHOUT_DATABASE, Cast, Named
from chaos.servers import MariaDB, Server
from chaos.site import Site
from config.settings import ROOT
from config.urls import with_driver
from deploy.processes import wait_until
from swiper.db.checks import find_cluster_fault
from tests.processes import free_port

NEEDS = {
    "/usr/lib/galera/libgalera_smm.so": "galera-4",
    "garbd": "galera-arbitrator-4",
    "haproxy": "haproxy",
    "rsync": "rsync",
}
GROUP = "swiper_engines"
# How long a node may lag in the experiment, and how long it may take to come back.
LAG_SECONDS, SHORT_LAG_SECONDS = 12.0, 3.0
BACK_SECONDS = 30.0
FAILOVER_SECONDS = 10.0
# Bursts at most, until the node has noticed.
LONGEST_CUT = 30


def _settings() -> dict[str, str]:
    """What `deploy/ha/galera.cnf` sets."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "deploy/ha/galera.cnf")
    return {name: value.strip('"') for name, value in parser["mariadbd"].items()}


class GaleraNode(MariaDB):
    """One node; `peers` are the ports of the group's communication, of which the first node begins a new group."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.group_port = free_port()
        self.peers: list[int] = []
        self.is_first = False

    def command(self) -> Sequence[object]:
        """See `Server`."""
        ours = {
            "bind_address": "127.0.0.1",
            "wsrep_cluster_name": GROUP,
            "wsrep_cluster_address": f"gcomm://{_addresses(self.peers)}",
            "wsrep_node_address": "127.0.0.1",
            "wsrep_node_name": self.folder.name,
            "wsrep_sst_receive_address": f"127.0.0.1:{free_port()}",
            "wsrep_provider_options": f"{_group_options(self.group_port)};ist.recv_addr=127.0.0.1:{free_port()}",
        }
        options = [f"--{name.replace('_', '-')}={value}" for name, value in (_settings() | ours).items()]
        return (*super().command(), *options, *(["--wsrep-new-cluster"] if self.is_first else []))

    def _say(self, command: str) -> Any:
        """The first row. SHOW and SET are all that a node does outside of the primary component, so no BEGIN here."""
        with pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True) as connection:
            cursor = connection.cursor()
            cursor.execute(command)
            return cursor.fetchone()

    def status(self, name: str) -> str:
        """One of the server's status variables."""
        return str(self._say(f"SHOW STATUS LIKE '{name}'")[1])

    def answers(self) -> bool:
        """See `Server`: it has all data, and belongs to the primary component."""
        try:
            return self.status("wsrep_local_state") == "4"
        except pymysql.Error:
            return False

    def set_provider_option(self, option: str) -> None:
        """Change an option of the Galera library, such as `gmcast.isolate=1`."""
        self._say(f"SET GLOBAL wsrep_provider_options = '{option}'")

    @contextmanager
    def lagging(self) -> Iterator[None]:
        """The node takes part in the group, and shows none of its changes meanwhile."""
        holder = create_engine(with_driver(self.admin_url), poolclass=NullPool)
        with holder.connect() as connection:
            connection.execute(text("FLUSH TABLES WITH READ LOCK"))
            yield
            connection.execute(text("UNLOCK TABLES"))


class Arbitrator(Server):
    """A member of the group without data: with it, one of two nodes is still a majority."""

    def __init__(self, folder: Path, nodes: Sequence[GaleraNode]) -> None:
        super().__init__(folder)
        self.nodes = nodes

    def command(self) -> Sequence[object]:
        """See `Server`."""
        address = f"gcomm://{_addresses([node.group_port for node in self.nodes])}"
        return (
            "garbd",
            "--workdir",
            self.folder,
            "--address",
            address,
            "--group",
            GROUP,
            "--options",
            _group_options(self.port),
        )

    def answers(self) -> bool:
        """See `Server`."""
        return self.nodes[0].status("wsrep_cluster_size") == str(len(self.nodes) + 1)


def _addresses(ports: Sequence[int]) -> str:
    return ",".join(f"127.0.0.1:{port}" for port in ports)


def _group_options(port: int) -> str:
    """The library's options, as deployed and with a port of our own."""
    return f"gmcast.listen_addr=tcp://127.0.0.1:{port};{_settings()['wsrep_provider_options']}"


class SiteOverNodes(Site):
    """A site whose first instance is on the first node, and whose second is on the second, past any proxy."""

    def __init__(self, folder: Path, urls: Sequence[str], **changes: Any) -> None:
        super().__init__(folder, urls[0], has_celery=False, has_nginx=False, **changes)
        self.urls = dict(zip(self.ports, urls, strict=True))

    def start_instance(self, port: int) -> None:
        """See `Site`."""
        self.changes["DATABASE_URL"] = with_driver(self.urls[port])
        super().start_instance(port)


@engine("MariaDB Galera, two nodes behind HAProxy", NEEDS)
def galera(trial: Trial) -> None:
    """Both nodes take writes, of connections in turn; then one lags, is cut off, and is killed."""
    with ExitStack() as stack:
        first, second = nodes = [GaleraNode(trial.folder(f"node{number}")) for number in (1, 2)]
        first.is_first = True
        stack.enter_context(first)
        first.is_first, first.peers = False, [node.group_port for node in nodes]
        second.peers = first.peers
        stack.enter_context(second)
        stack.enter_context(Arbitrator(trial.folder("arbitrator"), nodes))
        first.execute("CREATE USER haproxy@'%'")
        first.create_database("swiper")
        trial.version = f"{first.version}, galera-4 {first.status('wsrep_provider_version').partition('(')[0]}"
        addresses = {f"GALERA_{number}": f"127.0.0.1:{node.port}" for number, node in enumerate(nodes, 1)}
        proxy = HAProxy(trial.folder("haproxy"), "GALERA", addresses | {"GALERA_BALANCE": "roundrobin"})
        stack.enter_context(proxy)
        wait_until(lambda: _answers(proxy), BACK_SECONDS, "HAProxy finds no node")
        with trial.new_site(f"mysql://root@127.0.0.1:{proxy.port}/swiper") as site:
            trial.travel(site)
            trial.race(site)
            trial.endure(site, "node killed", second.kill, FAILOVER_SECONDS)
            second.start()
        urls = [node.url("swiper") for node in nodes]
        with SiteOverNodes(trial.folder("direct"), urls) as site:
            _check(trial, site)
            _lag(trial, site, second)
            _cut_off(trial, site, second)


def _answers(proxy: HAProxy) -> bool:
    try:
        with create_engine(f"mysql+pymysql://root@127.0.0.1:{proxy.port}", poolclass=NullPool).connect():
            return True
    except DBAPIError:
        return False


def _check(trial: Trial, site: Site) -> None:
    """Whether `flask check` is content, and whether it sees a connection that does not wait."""
    with site.looking() as session:
        before = find_cluster_fault(session.connection())
        session.execute(text("SET SESSION wsrep_sync_wait = 0"))
        after = find_cluster_fault(session.connection())
    site.leave_connections()
    trial.check(
        "flask check",
        "a connection as the application makes it, and one that has lost its setting",
        "the second is a fault",
        f"{before or 'no fault'}; {after or 'no fault'}",
        before is None and after is not None,
    )


def _lag(trial: Trial, site: Site, node: GaleraNode) -> None:
    """A profile is changed on the first node while the second has not got the change yet."""
    near, far = site.instance_bases
    (member,) = site.add_members(1)
    for number in range(2):
        _bios(near, member), _bios(far, member)
        burst(near, [member.post("/api/user/profile/modify", bio=f"old {number}")])
    seconds = SHORT_LAG_SECONDS if trial.is_short else LAG_SECONDS
    seen: list[str] = []
    with node.lagging():
        (changed,) = burst(near, [member.post("/api/user/profile/modify", bio="new")])
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            seen += [*_bios(far, member), *_bios(near, member)]
    wait_until(lambda: _bios(far, member) == ["new"], BACK_SECONDS, "the second node does not follow")
    after = [bio for _ in range(20) for base in (near, far) for bio in _bios(base, member)]
    old = [bio for bio in seen + after if bio not in ("new", str(UNAVAILABLE))]
    trial.check(
        "a node lags",
        f"a profile is changed on one node while the other shows no change for {seconds:.0f} s; it is read at both",
        "the new one or 1011, never the old one; nothing old is cached",
        f"{changed.code} for the change; {seen.count('new')} new, {seen.count(str(UNAVAILABLE))} times 1011, "
        f"{len(old)} old ones; afterwards {after.count('new')} of {len(after)} new",
        changed.code == 0 and not old and after == ["new"] * len(after) and "new" in seen,
    )


def _bios(base: str, member: Member) -> list[str]:
    """The bio that a profile shows, or the code of the error."""
    (answer,) = burst(base, [member.get("/api/user/profile")])
    return [answer.data["bio"] if answer.code == 0 else str(answer.code)]


def _cut_off(trial: Trial, site: Site, node: GaleraNode) -> None:
    """The second node loses the others (error 1047), and finds them again; requests come all the while."""
    cast, far = Cast(site, size=4, bursts=40), [site.instance_bases[1]]
    burst(far, [spec for _, spec in cast.burst()])
    with ThreadPoolExecutor(1) as pool:
        cut = pool.submit(node.set_provider_option, "gmcast.isolate=1")
        meanwhile, bursts = Counter[str](), 0
        while (node.answers() or not cut.done()) and bursts < LONGEST_CUT:
            # Some are served before, others refused after.
            meanwhile += _ask(far, cast.burst(), dict.fromkeys(WITHOUT_DATABASE, REFUSED | SERVED))
            bursts += 1
        cut.result()
    told = sum((_ask(far, cast.burst(), WITHOUT_DATABASE) for _ in range(2)), Counter[str]())
    node.set_provider_option("gmcast.isolate=0")
    started = time.monotonic()
    wait_until(lambda: _all_good(burst(far, list(cast.one_each().values()))), BACK_SECONDS, "the node does not return")
    trial.check(
        "a node outside the primary component",
        f"{meanwhile.total() + told.total()} requests of 8 kinds at the instance that uses it, while it is cut off and "
        "afterwards",
        f"1011 or what is served without a database; good again within {BACK_SECONDS:.0f} s",
        f"{meanwhile['away'] + told['away']} times 1011, {meanwhile['wrong'] + told['wrong']} wrong answers; good "
        f"again {time.monotonic() - started:.1f} s after the node may return",
        bool(told["away"]) and not meanwhile["wrong"] + told["wrong"],
    )


def _ask(bases: Sequence[str], named: Named, allowed: Mapping[str, frozenset[int]]) -> Counter[str]:
    """How many were answered well, away (1011), or wrong."""
    counts = Counter[str]()
    for (kind, _), answer in zip(named, burst(bases, [spec for _, spec in named]), strict=True):
        if answer.code not in allowed[kind]:
            print(f"     {kind}: {answer.status} {answer.body[:80]!r}")
            counts["wrong"] += 1
        else:
            counts["away" if answer.code == UNAVAILABLE else "well"] += 1
    return counts


def _all_good(answers: Sequence[Answer]) -> bool:
    return all(answer.code == 0 for answer in answers)
