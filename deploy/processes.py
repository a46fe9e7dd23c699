"""Child processes that end with this process. They are stopped in the reverse order of their start."""

import ctypes
import functools
import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1  # prctl(2)
STOPPING = (signal.SIGINT, signal.SIGTERM)


def _begin(mask: set[int]) -> None:
    """Runs in the child: unblock signals, and get SIGTERM when the parent ends, also if it is killed."""
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    if prctl:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class ChildEndedError(RuntimeError):
    """A child has ended by itself. It has printed the reason."""


class Processes:
    """The running children by name. Each has its own process group, so that Ctrl-C reaches only the parent."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], env: dict[str, str] | None = None) -> None:
        """Start `command` with the output of this process."""
        # Without blocking, a signal right after the start would leave a child that is not stopped.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            self._running[name] = subprocess.Popen(
                command, env=env, start_new_session=True, preexec_fn=functools.partial(_begin, mask)
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def run(self, name: str, command: Sequence[str], env: dict[str, str]) -> None:
        """Start `command` and wait for its end. Raises ChildEndedError if it fails."""
        self.start(name, command, env)
        code = self._running[name].wait()
        del self._running[name]
        if code:
            raise ChildEndedError(f"{name} ended with code {code}")

    def find_ended(self) -> tuple[str, int] | None:
        """Return name and exit code of a child that has ended by itself, or None."""
        for name, process in self._running.items():
            code = process.poll()
            if code is not None:
                return name, code
        return None

    def stop_all(self, patience_seconds: float = 20.0) -> None:
        """Send SIGTERM to each child, the last started first. Kill the group of a child that does not end in time."""
        for name, process in reversed(self._running.items()):
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(patience_seconds)
            except subprocess.TimeoutExpired:
                log.warning("%s does not stop and is killed", name)
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._running.clear()


def wait_until(check, seconds: float, what: str) -> None:  # type: ignore[no-untyped-def]
    """Return as soon as `check()` is true. Raises TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {seconds:.0f} s")
        time.sleep(0.05)
