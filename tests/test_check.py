"""`flask check`: one line for each fault of folders, servers, schema, clocks and limits, within a limited time."""

import resource
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import flask_migrate
import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskCliRunner
from redis import Redis
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from config import limits
from config.base import Fault
from config.settings import ROOT, Environment, Settings
from deploy.embedded_redis import answers, redis_command
from swiper.cli.check import find_faults
from swiper.cli.probes import CLOCK_SECONDS, Probe, probes_of, run_probes
from swiper.db.checks import DatabaseState
from swiper.extensions import db
from tests.processes import BIN, Program, answers_at, environment_of, free_port, gunicorn
from tests.services import NEEDS_PYLIBMC

SECRET = "hunter2"
POSTGRES_AWAY = f"postgresql+psycopg://nobody:{SECRET}@127.0.0.1:1/none"
MARIADB_AWAY = f"mysql+pymysql://nobody:{SECRET}@127.0.0.1:1/none?charset=utf8mb4"
REDIS_AWAY = f"redis://:{SECRET}@127.0.0.1:1/0"
MakeApp = Callable[..., Flask]


def check(app: Flask, *options: str) -> Result:
    return app.test_cli_runner().invoke(args=["check", *options])


def told(result: Result) -> list[str]:
    """The lines of a check that has found something. None has a password."""
    assert result.exit_code == 1, result.output
    assert SECRET not in result.output
    lines = result.output.splitlines()
    assert all(line.startswith("swiper: ") for line in lines), lines
    return [line.removeprefix("swiper: ") for line in lines]


def test_nothing_is_told_where_everything_is_in_order(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["check"])
    assert (result.exit_code, result.output) == (0, "Everything is in order.\n")


def test_the_command_itself_ends_so(app: Flask, settings: Settings) -> None:
    done = subprocess.run(
        [BIN / "flask", "check"], cwd=ROOT, env=environment_of(settings), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Everything is in order.\n", "")


# Servers.


@pytest.mark.parametrize("url", [POSTGRES_AWAY, MARIADB_AWAY])
def test_a_database_that_is_away_is_told(make_app: MakeApp, url: str) -> None:
    [line] = told(check(make_app(database_url=url)))
    assert line.startswith("DATABASE_URL: the database does not answer: ")
    assert "refused" in line


def test_a_replica_that_is_away_is_told(app: Flask, make_app: MakeApp, settings: Settings) -> None:
    # The tables are those of `app`.
    *others, line = told(check(make_app(database_replica_urls=[settings.database_url, POSTGRES_AWAY])))
    assert line.startswith("DATABASE_REPLICA_URLS: replica 2 does not answer: ")
    # MariaDB may run without a binary log, and then tells no position.
    assert all("replica 1 is behind, so it is not used" in other for other in others)
    assert not others or make_url(settings.database_url).get_backend_name() == "mysql"


def test_a_redis_that_is_away_is_told(make_app: MakeApp) -> None:
    [line] = told(check(make_app(redis_url=REDIS_AWAY, cache_type="null")))
    assert line.startswith("REDIS_URL: Redis does not answer: ")


@pytest.mark.parametrize("url", [REDIS_AWAY, f"amqp://user:{SECRET}@127.0.0.1:1//"])
def test_a_broker_that_is_away_is_told(make_app: MakeApp, url: str) -> None:
    [line] = told(check(make_app(celery_broker_url=url)))
    assert line.startswith("CELERY_BROKER_URL: the broker does not answer: ")


def test_a_broker_that_is_the_redis_is_told_once(make_app: MakeApp) -> None:
    app = make_app(redis_url=REDIS_AWAY, celery_broker_url=REDIS_AWAY, cache_type="null")
    assert [line.partition(":")[0] for line in told(check(app))] == ["REDIS_URL"]


@NEEDS_PYLIBMC
def test_a_memcached_that_is_away_is_told(make_app: MakeApp) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"127.0.0.1:{server.getsockname()[1]}"
        app = make_app(cache_type="memcached", cache_memcached_servers=[there, "127.0.0.1:1"])
        [line] = told(check(app))
    assert line.startswith("CACHE_MEMCACHED_SERVERS: memcached at 127.0.0.1:1 does not answer: ")


def test_all_servers_are_told_at_once(make_app: MakeApp) -> None:
    app = make_app(
        database_url=POSTGRES_AWAY, redis_url=REDIS_AWAY, celery_broker_url="redis://127.0.0.1:2/0", cache_type="null"
    )
    names = [line.partition(":")[0] for line in told(check(app))]
    assert names == ["DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL"]


def test_a_server_that_never_answers_is_waited_for_as_long_as_is_said(make_app: MakeApp) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        app = make_app(database_url=f"postgresql+psycopg://u@127.0.0.1:{port}/x", database_connect_timeout_seconds=60)
        started = time.monotonic()
        lines = told(check(app, "--seconds", "1"))
        assert time.monotonic() - started < 5
    assert lines == ["DATABASE_URL: the database has not answered within 1 s"]


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Redis]:
    """A Redis of our own."""
    path = tmp_path / "redis.sock"
    with Program(redis_command(path, tmp_path / "redis"), {}, tmp_path / "redis.log") as server:
        server.wait_for(lambda: answers(path), "redis does not answer")
        client = Redis(unix_socket_path=str(path))
        yield client
        client.close()


def test_a_redis_that_takes_no_writes_is_told(make_app: MakeApp, private: Redis, tmp_path: Path) -> None:
    app = make_app(redis_url=f"unix://{tmp_path / 'redis.sock'}", cache_type="null")
    assert check(app).exit_code == 0
    private.replicaof("127.0.0.1", "1")
    [line] = told(check(app))
    assert line == "REDIS_URL: Redis refuses a command: You can't write against a read only replica."
    private.replicaof("NO", "ONE")
    assert check(app).exit_code == 0


def test_a_database_that_takes_no_writes_is_told(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swiper.cli.probes.state_of", lambda _: DatabaseState(time.time(), is_read_only=True))
    assert told(check(app)) == ["DATABASE_URL: the database takes no writes (it is a replica, or read-only)"]


# Schema.


@pytest.fixture
def own(make_app: MakeApp, tmp_path: Path) -> Flask:
    """An application on a database without tables."""
    return make_app(database_url=f"sqlite:///{tmp_path / 'own.db'}", cache_type="null")


def test_a_database_without_schema_is_told(own: Flask) -> None:
    assert told(check(own)) == ["DATABASE_URL: the database has no schema yet; run `flask db upgrade`"]


def test_a_schema_behind_or_ahead_of_the_code_is_told(own: Flask) -> None:
    with own.app_context():
        flask_migrate.upgrade(str(ROOT / "migrations"))
    assert check(own).exit_code == 0
    for version, words in (("0005", "is behind, at 0005 and not at "), ("9999", "is ahead of this release, which has")):
        with own.app_context(), db.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})
        [line] = told(check(own))
        assert line.startswith(f"DATABASE_URL: the schema {words}")


# Clocks.


def set_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """This machine's clock, so far from the true time, as the check sees it."""
    shifted = SimpleNamespace(time=lambda: time.time() + seconds, monotonic=time.monotonic)
    monkeypatch.setattr("swiper.cli.probes.time", shifted)


@pytest.mark.parametrize(("seconds", "side"), [(60, "ahead of"), (-60, "behind")])
def test_clocks_that_are_apart_are_told(app: Flask, monkeypatch: pytest.MonkeyPatch, seconds: int, side: str) -> None:
    set_clock(monkeypatch, seconds)
    with app.app_context():
        has_clock = db.engine.dialect.name != "sqlite"
    words = f"the clock of this machine is 60 s {side} that of"
    of_database = [f"DATABASE_URL: {words} the database"] if has_clock else []
    assert told(check(app)) == [*of_database, f"REDIS_URL: {words} Redis"]


@pytest.mark.parametrize("seconds", [CLOCK_SECONDS - 2, 2 - CLOCK_SECONDS])
def test_clocks_may_be_a_little_apart(app: Flask, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    set_clock(monkeypatch, seconds)
    assert check(app).exit_code == 0


# Folders and limits.


def test_a_folder_that_cannot_be_written_is_told(app: Flask, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with app.app_context():
        faults = find_faults(settings.model_copy(update={"log_dir": file}), 10)
    assert faults == [Fault("LOG_DIR", f"{file} is a file, not a folder")]


def test_limits_of_the_machine_are_told_in_production(
    app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    production = settings.model_copy(update={"environment": Environment.PRODUCTION, "redis_max_connections": 500})
    (tmp_path / "somaxconn").write_text("128\n")
    monkeypatch.setattr(limits, "SOMAXCONN", tmp_path / "somaxconn")
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, allowed[1]))
    try:
        with app.app_context():
            faults = find_faults(production, 10)
            assert find_faults(settings, 10) == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
    assert list(map(str, faults)) == [
        f"ulimit -n: 1024 open files are allowed, and a web worker may need {limits.wanted_open_files(production)}"
        " (systemd: LimitNOFILE)",
        "net.core.somaxconn: the kernel queues 128 new connections, and gunicorn asks for 2048 (sysctl)",
    ]


def test_limits_that_are_high_enough_are_no_fault(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SOMAXCONN", Path("/nonexistent/somaxconn"))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limits.wanted_open_files(settings), 10**6))
    assert limits.limit_faults(settings) == []


# The probes themselves.


def test_a_fault_of_ours_keeps_its_traceback(app: Flask, settings: Settings) -> None:
    def broken() -> Iterator[str]:
        raise ZeroDivisionError
        yield

    with pytest.raises(ZeroDivisionError):
        run_probes([Probe("X", "x", broken)], 10, "")


def test_no_password_of_a_url_is_shown() -> None:
    def leaking() -> Iterator[str]:
        raise OperationalError("", {}, OSError("cannot log in with p%40ss or p@ss\nat all"))
        yield

    [fault] = run_probes([Probe("X", "x", leaking)], 10, "redis://h\npostgresql://u:p%40ss@h/d")
    assert str(fault) == "X: x does not answer: cannot log in with *** or *** at all"


@NEEDS_PYLIBMC
def test_each_server_has_a_probe(make_app: MakeApp, settings: Settings) -> None:
    changes = {
        "database_replica_urls": [settings.database_url],
        "celery_broker_url": "memory://",
        "cache_type": "memcached",
    }
    app = make_app(**changes)
    with app.app_context():
        probes = probes_of(app, settings.model_copy(update=changes))
    assert [probe.variable for probe in probes] == [
        *("DATABASE_URL", "DATABASE_REPLICA_URLS", "REDIS_URL", "CELERY_BROKER_URL", "CACHE_MEMCACHED_SERVERS")
    ]


# A start asks no server.


def test_a_web_worker_starts_while_redis_is_away(app: Flask, settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    env = environment_of(settings, REDIS_URL="redis://127.0.0.1:1/0")
    with gunicorn(env, port, tmp_path / "log") as program:
        program.wait_for(lambda: answers_at(f"http://127.0.0.1:{port}", "/healthz"), "gunicorn does not serve")
