"""The limits of the operating system and of nginx that a site wants, and those that it has."""

import re
import resource
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# As in deploy/systemd and nginx/swiper.conf.
OPEN_FILES = 65_536
# As gunicorn asks for (config/limits.py).
SOMAXCONN = 2_048
WORKER_CONNECTIONS = 40_960
SOMAXCONN_FILE = Path("/proc/sys/net/core/somaxconn")


@dataclass(frozen=True)
class Limit:
    """A limit as it is, and as it should be at least."""

    name: str
    value: int
    wanted: int
    remedy: str

    @property
    def is_enough(self) -> bool:
        """True if nothing has to be done."""
        return self.value >= self.wanted

    def __str__(self) -> str:
        state = "enough" if self.is_enough else f"too low: {self.remedy}"
        return f"{self.name}: {self.value}, {self.wanted} wanted, {state}"


def raise_open_files() -> None:
    """Allow this process, and so what it starts, as many open files as the units do, or as the machine lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES and not _try_limit(OPEN_FILES, OPEN_FILES):
        _try_limit(hard, hard)
    elif soft != resource.RLIM_INFINITY and soft < OPEN_FILES:
        _try_limit(OPEN_FILES, hard)


def _try_limit(soft: int, hard: int) -> bool:
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    except (ValueError, OSError):
        # Only root may raise a hard limit, and not beyond that of the kernel.
        return False
    return True


def open_files(pids: Iterable[int]) -> Limit:
    """Return the lowest limit of these processes and of this one, which is what it would start another with."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Unlimited is -1 in Python.
    found = [soft if soft >= 0 else OPEN_FILES, *map(_open_files_of, pids)]
    return Limit("open files", min(found), OPEN_FILES, "set LimitNOFILE in the units, or ulimit -n, and restart")


def listen_queue() -> Iterator[Limit]:
    """Return how many connections the kernel queues for a socket; nothing where it does not tell."""
    if SOMAXCONN_FILE.exists():
        queue = int(SOMAXCONN_FILE.read_text())
        yield Limit("net.core.somaxconn", queue, SOMAXCONN, f"sysctl -w net.core.somaxconn={SOMAXCONN}")


def nginx_limits(path: Path) -> Iterator[Limit]:
    """Return what a configuration of nginx allows its workers."""
    text = path.read_text()
    places = {name: _number(text, name) for name in ("worker_connections", "worker_rlimit_nofile")}
    connections = places["worker_connections"]
    yield Limit("nginx worker_connections", connections, WORKER_CONNECTIONS, f"set it in {path}")
    # A request that is passed on takes two files.
    yield Limit("nginx worker_rlimit_nofile", places["worker_rlimit_nofile"], 2 * connections, f"set it in {path}")


def _number(text: str, directive: str) -> int:
    found = re.search(rf"^\s*{directive}\s+(\d+)\s*;", text, re.MULTILINE)
    return int(found[1]) if found else 0


def _open_files_of(pid: int) -> int:
    """Return how many files a process may open; as many as wanted for one that ends meanwhile or has no limit."""
    try:
        text = Path(f"/proc/{pid}/limits").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return OPEN_FILES
    found = re.search(r"^Max open files\s+(\d+|unlimited)", text, re.MULTILINE)
    return int(found[1]) if found and found[1] != "unlimited" else OPEN_FILES
