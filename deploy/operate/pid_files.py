"""Supervision without systemd: each process has a file `run/NAME.pid`, a session of its own, and `log/NAME.log`.

The file has the process's id and its start by the system's clock, so that another process that has got the same id
later is never taken for it.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from deploy.operate.errors import OperateError
from deploy.operate.limits import raise_open_files
from deploy.operate.services import Service
from deploy.operate.site import Release, Site
from deploy.operate.steps import write_file

# A log of this size is renamed when its process starts; one that is older is replaced.
LOG_BYTES = 50 * 2**20
TAIL_LINES = 15
POLL_SECONDS = 0.1
# The processes that this one has started, which it collects when they end. Most outlive it.
STARTED: dict[int, subprocess.Popen[bytes]] = {}


def started_at(pid: int) -> str | None:
    """Return when a process has started, in ticks since the system's start, or None if it is gone or has ended."""
    try:
        # The name, in parentheses, may hold spaces and parentheses itself (proc(5)).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, start = fields[0], fields[19]
    return None if state in "ZX" else start


class PidFiles:
    """Starts and ends the processes of a site."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def pid_of(self, service: Service) -> int | None:
        """Return the id of the service's process, or None if it does not run."""
        try:
            pid, started = self._file(service).read_text().split()
        except FileNotFoundError:
            return None
        except ValueError:
            raise OperateError(f"{self._file(service)} is damaged; end the process by hand and delete it") from None
        return int(pid) if started_at(int(pid)) == started and self._is_owners(int(pid)) else None

    def start(self, service: Service, release: Release) -> None:
        """Start the service's process by the code of `release`."""
        raise_open_files()
        with self._open_log(service) as log:
            try:
                process = subprocess.Popen(
                    service.command(self.site, release),
                    # The folder itself, not the link: a worker that is started anew must find its own release.
                    cwd=release.folder,
                    env=self.site.environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=lambda: self._note_this_process(service),
                    **self.site.as_owner(),
                )
            except subprocess.SubprocessError:
                # The reason is lost in the child.
                raise OperateError(f"{service.name} was not started: {self._file(service)} cannot be written") from None
        STARTED[process.pid] = process

    def send(self, service: Service, number: signal.Signals) -> bool:
        """Send a signal to the service's process. Return False if it does not run."""
        pid = self.pid_of(service)
        if pid is None:
            return False
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        try:
            # The handle keeps to one process; it is the right one if the id still is.
            if self.pid_of(service) == pid:
                signal.pidfd_send_signal(handle, number)
                return True
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)
        return False

    def stop(self, service: Service) -> None:
        """End the service's process; one that does not end in time is killed with its whole session."""
        deadline = time.monotonic() + service.patience_seconds
        self.send(service, signal.SIGTERM)
        while (pid := self.pid_of(service)) is not None:
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                deadline = float("inf")
            time.sleep(POLL_SECONDS)
        for child in [child for child in STARTED.values() if child.poll() is not None]:
            del STARTED[child.pid]
        self._file(service).unlink(missing_ok=True)

    def reload(self, service: Service) -> None:
        """Let gunicorn read its settings and code anew. Raises OperateError if it does not run."""
        if not self.send(service, signal.SIGHUP):
            raise OperateError(f"{service.name} does not run")

    def tail(self, service: Service) -> str:
        """Return the last lines that the service has printed."""
        path = self.log_of(service)
        return "\n".join(path.read_text(errors="replace").splitlines()[-TAIL_LINES:]) if path.exists() else ""

    def log_command(self, services: Sequence[Service], lines: int, is_followed: bool) -> list[str]:
        """Return the command that shows what the services print. Raises OperateError if none has ever run."""
        paths = [str(path) for service in services if (path := self.log_of(service)).exists()]
        if not paths:
            raise OperateError(f"there is no log in {self.site.log} yet")
        # By name, since a large log is renamed when its process starts.
        return ["tail", *(["-F"] if is_followed else []), "-n", str(lines), *paths]

    def log_of(self, service: Service) -> Path:
        """Where the service's process prints."""
        return self.site.log / f"{service.name}.log"

    def _note_this_process(self, service: Service) -> None:
        """Write the pid file; to be called in the child, before it becomes the service's program.

        So there is no process without a file, also if the one that starts it is killed. Until the program runs, the
        child holds the locks of the command, so no other command looks for the file too early.
        """
        pid = os.getpid()
        write_file(self._file(service), f"{pid} {started_at(pid)}\n", 0o644)

    def _file(self, service: Service) -> Path:
        return self.site.run / f"{service.name}.pid"

    def _is_owners(self, pid: int) -> bool:
        """Return False for a process that the site's account could not have started, and so may not let root end."""
        try:
            return os.getuid() != 0 or Path(f"/proc/{pid}").stat().st_uid == self.site.owner.uid
        except FileNotFoundError:
            return False

    def _open_log(self, service: Service) -> BinaryIO:
        path = self.log_of(service)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        # The folder belongs to the site's account, whose links root must not follow.
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o640)
        if not os.getuid():
            os.fchown(handle, self.site.owner.uid, self.site.owner.gid)
        return os.fdopen(handle, "ab")
