"""What a web worker wants of the operating system, and where the machine allows less."""

import resource
from pathlib import Path
from typing import TYPE_CHECKING

from config.base import Fault

if TYPE_CHECKING:
    from config.settings import Settings

WORKER_CONNECTIONS = 1000
BACKLOG = 2048
# Log files, libraries, pipes, uploads that are being written.
OTHER_FILES = 200
SOMAXCONN = Path("/proc/sys/net/core/somaxconn")


def wanted_open_files(settings: "Settings") -> int:
    """Return how many files and connections one web worker may have open at the same time."""
    databases = 1 + len(settings.database_replica_urls)
    to_databases = databases * (settings.database_pool_size + settings.database_max_overflow)
    return WORKER_CONNECTIONS + settings.redis_max_connections + to_databases + OTHER_FILES


def limit_faults(settings: "Settings") -> list[Fault]:
    """Return a fault for each limit of this process and machine that is too low."""
    faults = []
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = wanted_open_files(settings)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        text = f"{allowed} open files are allowed, and a web worker may need {wanted} (systemd: LimitNOFILE)"
        faults.append(Fault("ulimit -n", text))
    try:
        queued = int(SOMAXCONN.read_text())
    except FileNotFoundError:
        # Not Linux.
        return faults
    if queued < BACKLOG:
        text = f"the kernel queues {queued} new connections, and gunicorn asks for {BACKLOG} (sysctl)"
        faults.append(Fault("net.core.somaxconn", text))
    return faults
