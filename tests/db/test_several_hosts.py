"""Of several hosts in a PostgreSQL's URL, one that does not answer is left for the next, on every way."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from config.settings import ROOT
from swiper.db import hosts, liveness
from swiper.db.servers import LimitedPsycopg
from tests.proxy import FreezableProxy

# The values of FAST_PATHS in a gevent worker; and threads, as in a Celery worker.
WAYS = ("on", "off", "threads")
PROGRAM = Path(__file__).with_name("several_hosts.py")
Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def proxies(database_url: str) -> Iterator[list[FreezableProxy]]:
    """Two hosts, both before the server of the tests."""
    url = make_url(database_url)
    with FreezableProxy(url.host, url.port or 5432) as one, FreezableProxy(url.host, url.port or 5432) as other:
        yield [one, other]


def url_of(database_url: str, proxies: list[FreezableProxy]) -> str:
    """libpq's own spelling."""
    url = make_url(database_url)
    user = url.username + (f":{url.password}" if url.password else "")
    listed = ",".join(f"127.0.0.1:{proxy.port}" for proxy in proxies)
    return f"postgresql://{user}@{listed}/{url.database}?target_session_attrs=read-write"


@pytest.fixture
def start(app: Flask, database_url: str, redis_url: str, proxies: list[FreezableProxy]) -> Start:
    def run(way: str) -> subprocess.Popen[str]:
        patched = ["-m", "gevent.monkey"] if way in ("on", "off") else []
        fast_paths = way if patched else "on"
        command = [sys.executable, *patched, PROGRAM, fast_paths, url_of(database_url, proxies), redis_url]
        return subprocess.Popen(
            command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    return run


def line_of(program: subprocess.Popen[str], name: str) -> list[float]:
    assert program.stdout is not None
    line = program.stdout.readline()
    assert line.startswith(name), line
    return [float(word) for word in line.removeprefix(name).split()]


@pytest.mark.parametrize("way", WAYS)
def test_a_first_host_that_is_frozen_is_left_for_the_second(
    start: Start, proxies: list[FreezableProxy], way: str
) -> None:
    proxies[0].freeze()
    with start(way) as program:
        # One of them finds it out; the others ask the host that has answered.
        assert max(line_of(program, "first")) < 5
        accepted = proxies[0].accepted
        program.communicate("\n", timeout=30)
    assert program.returncode == 0
    assert accepted == 1
    assert proxies[1].accepted >= 2


@pytest.mark.parametrize("way", WAYS)
def test_a_host_that_freezes_under_open_connections_is_left_within_five_seconds(
    start: Start, proxies: list[FreezableProxy], way: str
) -> None:
    with start(way) as program:
        assert max(line_of(program, "first")) < 5
        assert (proxies[0].accepted, proxies[1].accepted) == (3 if way == "on" else 2, 0)
        proxies[0].freeze()
        told, _ = program.communicate("\n", timeout=60)
    assert program.returncode == 0
    assert float(told.splitlines()[-1].removeprefix("in all")) < 5


def test_a_statement_of_a_thread_may_take_long_while_its_server_is_alive(
    database_url: str, proxies: list[FreezableProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "FIRST_PAUSE_SECONDS", 0.1)
    url = make_url(database_url)
    names = ",".join("127.0.0.1" for _ in proxies)
    ports = ",".join(str(proxy.port) for proxy in proxies)
    parameters = {"user": url.username, "password": url.password, "dbname": url.database}
    connection = LimitedPsycopg.of(0.5).connect(host=names, port=ports, autocommit=True, **parameters)
    with connection:
        assert connection.execute("SELECT pg_sleep(2), 7").fetchone() == ("", 7)
        threading.Timer(0.5, proxies[0].freeze).start()
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="no answer in time"):
            connection.execute("SELECT pg_sleep(60)")
        assert time.monotonic() - began < 5
        assert connection.closed


# --- The order, without servers ---


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "_orders", {})


class Servers:
    """Servers by their names. Those in `away` refuse, and those in `standbys` take no writes."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.standbys: set[str] = set()
        self.asked: list[str] = []

    def connect(self, **parameters: str) -> str:
        self.asked.append(f"{parameters['host']}:{parameters.get('port')}")
        host, wanted = parameters["host"], parameters.get("target_session_attrs")
        is_refused = wanted == ("standby" if host not in self.standbys else "read-write")
        if host in self.away or is_refused:
            raise psycopg.OperationalError(f"{host} refuses")
        return host

    def ask(self, names: str, **others: str) -> str:
        return hosts.connect_in_turn(self.connect, {"host": names, **others}, 1.0)


def test_the_host_that_has_answered_is_asked_first() -> None:
    servers = Servers()
    servers.standbys = {"a"}
    assert [servers.ask("a,b", target_session_attrs="read-write") for _ in range(3)] == ["b", "b", "b"]
    assert servers.asked == ["a:5432", "b:5432", "b:5432", "b:5432"]
    servers.away, servers.standbys = {"b"}, set()
    assert [servers.ask("a,b", target_session_attrs="read-write") for _ in range(2)] == ["a", "a"]


def test_one_port_is_that_of_all_hosts_and_several_are_one_each() -> None:
    servers = Servers()
    servers.away = {"a"}
    servers.ask("a,b", port="5433")
    servers.ask("a,c", port="1,2")
    assert servers.asked == ["a:5433", "b:5433", "a:1", "c:2"]


def test_where_none_answers_the_error_tells_of_each() -> None:
    servers = Servers()
    servers.away = {"a", "b"}
    with pytest.raises(psycopg.OperationalError, match="a:1: a refuses; b:1: b refuses"):
        servers.ask("a,b", port="1")


def test_a_host_whose_attempt_is_cut_short_is_asked_last() -> None:
    servers = Servers()

    def cut_short(**_: str) -> str:
        raise SystemExit

    with pytest.raises(SystemExit):
        hosts.connect_in_turn(cut_short, {"host": "a,b"}, 1.0)
    assert servers.ask("a,b") == "b"


def test_a_standby_is_preferred_and_a_primary_better_than_none() -> None:
    servers = Servers()
    servers.standbys = {"b"}
    assert servers.ask("a,b", target_session_attrs="prefer-standby") == "b"
    servers.away = {"b"}
    assert servers.ask("a,b", target_session_attrs="prefer-standby") == "a"
