"""The embedded server: which one it is, and what becomes of the data that the one before has kept."""

from pathlib import Path

import pytest
from redis import Redis

from deploy.embedded_redis import FORMER_FILE, adopt_data, answers, redis_command
from tests.processes import Program

# As Redis 6 writes it: one command behind the other.
SET = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n"


def test_the_server_is_a_maintained_one(tmp_path: Path) -> None:
    """Redis 6.2 has holes in its scripts that 2025 has shown."""
    socket = tmp_path / "redis.sock"
    with Program(redis_command(socket, tmp_path / "data"), {}, tmp_path / "log") as server:
        server.wait_for(lambda: answers(socket), "the server does not answer")
        info = Redis(unix_socket_path=str(socket)).info("server")
    assert info["server_name"] == "valkey"
    assert tuple(map(int, info["valkey_version"].split("."))) >= (9, 1)
    assert info["tcp_port"] == 0


def test_data_of_the_former_redis_are_copied_once_and_stay(tmp_path: Path) -> None:
    former, data, socket = tmp_path / "redis", tmp_path / "valkey", tmp_path / "redis.sock"
    former.mkdir()
    (former / FORMER_FILE).write_bytes(SET)
    assert adopt_data(former, data)
    for number, value in enumerate((b"value", b"changed")):
        with Program(redis_command(socket, data), {}, tmp_path / f"{number}.log") as server:
            server.wait_for(lambda: answers(socket), "the server does not answer")
            client = Redis(unix_socket_path=str(socket))
            assert client.get("k") == value
            client.set("k", "changed")
        assert not adopt_data(former, data)
    assert (former / FORMER_FILE).read_bytes() == SET


def test_a_copy_that_was_interrupted_is_made_again(tmp_path: Path) -> None:
    former, data = tmp_path / "redis", tmp_path / "valkey"
    former.mkdir()
    assert not adopt_data(former, data)
    (former / FORMER_FILE).write_bytes(SET)
    (tmp_path / "valkey.new").mkdir()
    (tmp_path / "valkey.new" / FORMER_FILE).write_bytes(SET[:5])
    assert adopt_data(former, data)
    assert (data / FORMER_FILE).read_bytes() == SET


def test_data_of_a_newer_server_are_refused_and_not_emptied(tmp_path: Path) -> None:
    socket, data = tmp_path / "redis.sock", tmp_path / "data"
    (data / "appendonlydir").mkdir(parents=True)
    (data / "appendonlydir" / "appendonly.aof.manifest").write_text("file appendonly.aof.1.base.rdb seq 1 type b\n")
    snapshot = b"REDIS9999" + bytes(20)
    (data / "appendonlydir" / "appendonly.aof.1.base.rdb").write_bytes(snapshot)
    server = Program(redis_command(socket, data), {}, tmp_path / "log")
    assert server.wait() != 0
    assert (data / "appendonlydir" / "appendonly.aof.1.base.rdb").read_bytes() == snapshot


@pytest.mark.parametrize("script", ["return redis.call('GET', KEYS[1])", "local key = table.remove(KEYS) return key"])
def test_scripts_may_use_what_ours_use(tmp_path: Path, script: str) -> None:
    socket = tmp_path / "redis.sock"
    with Program(redis_command(socket, tmp_path / "data"), {}, tmp_path / "log") as server:
        server.wait_for(lambda: answers(socket), "the server does not answer")
        client = Redis(unix_socket_path=str(socket))
        client.set("k", "k")
        assert client.eval(script, 1, "k") == b"k"
