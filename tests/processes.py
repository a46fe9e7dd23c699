"""Real processes for tests: started on free ports of 127.0.0.1, awaited, and ended by their own ids."""

import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import requests

from config.settings import ROOT, Settings
from deploy.processes import wait_until

BIN = Path(sys.executable).parent
# This machine may be busy with the other half of the suite.
PATIENCE_SECONDS = 60


# Below the ports that Linux gives to outgoing connections, and another thousand for each test worker.
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_ports = itertools.count(20_000 + 1_000 * (_worker % 12) + os.getpid() % 500)


def free_port() -> int:
    """A port that nothing listens on; never the same one twice."""
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("unreachable: the count has no end")


def environment(instance: Path, **changes: object) -> dict[str, str]:
    """The environment of a process of ours: only what is said here, and not the caller's variables."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    # Addresses are written out, so that the `.env` of the one who runs the tests has no say.
    addresses = Settings(
        _env_file=None,
        instance=instance,
        database_url=str(changes.get("DATABASE_URL", "")),
        redis_url=str(changes.get("REDIS_URL", "")),
        celery_broker_url=str(changes.get("CELERY_BROKER_URL", "")),
        celery_result_backend=str(changes.get("CELERY_RESULT_BACKEND", "")),
    )
    ours = {
        "PYTHONPATH": ROOT,
        "PYTHONUNBUFFERED": 1,
        "SWIPER_ENV": "development",
        "FAST_PATHS": os.environ.get("TEST_FAST_PATHS", "on"),
        "DATABASE_LAYOUT": os.environ.get("TEST_LAYOUT", "single"),
        "SWIPER_INSTANCE": instance,
        "DATABASE_URL": addresses.database_url,
        "REDIS_URL": addresses.redis_url,
        "CELERY_BROKER_URL": addresses.celery_broker_url,
        "CELERY_RESULT_BACKEND": addresses.celery_result_backend,
        "WEB_CONCURRENCY": 1,
        "LOCAL_REFRESH_SECONDS": 0,
        "ROBOTS_ANSWER_PERCENT": 0,
        "ROBOTS_PER_CITY": 0,
    }
    return kept | {name: str(value) for name, value in (ours | changes).items()}


def environment_of(settings: Settings, **changes: object) -> dict[str, str]:
    """The environment of a process on the same database, Redis and instance folder as the test."""
    same = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "SECRET_KEY": settings.secret_key,
    }
    return environment(settings.instance, **same | changes)


class Program:
    """One started program in a process group of its own; a context manager that leaves nothing behind."""

    def __init__(self, command: Sequence[object], env: dict[str, str], log: Path) -> None:
        """Start `command`; what it prints goes to `log`."""
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                env=env,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def children(self) -> list[psutil.Process]:
        """Everything that descends from the program."""
        return psutil.Process(self.pid).children(recursive=True)

    def wait_for(self, check: Callable[[], object], what: str) -> None:
        """Wait until `check()` is true; fails at once, with the program's output, when the program ends before."""

        def is_done() -> bool:
            if check():
                return True
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output}"
            return False

        try:
            wait_until(is_done, PATIENCE_SECONDS, what)
        except TimeoutError as error:
            raise AssertionError(f"{error}:\n{self.output}") from error

    def wait_for_line(self, text: str) -> None:
        self.wait_for(lambda: text in self.output, f"no line {text!r}")

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """The exit code."""
        return self.process.wait(seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; the exit code."""
        if self.process.poll() is None:
            self.send(number)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL to the program and all its descendants, at once."""
        family = [psutil.Process(self.pid), *self.children()] if self.process.poll() is None else []
        for member in family:
            try:
                member.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        self.process.wait(PATIENCE_SECONDS)
        psutil.wait_procs(family, timeout=PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.send(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class Visitor(requests.Session):
    """A client of one address, with the session `sid` where one is given, and without the environment's proxies."""

    def __init__(self, base: str, sid: str | None = None) -> None:
        super().__init__()
        self.trust_env = False
        self.base = base
        if sid:
            self.cookies.set("swiper_session", sid)

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", 30)
        return super().request(method, self.base + str(url), *args, **kwargs)


def answers_at(base: str, path: str = "/readyz") -> bool:
    """True when the address answers `path` with 200."""
    try:
        with Visitor(base) as visitor:
            return visitor.get(path, timeout=5).status_code == 200
    except requests.RequestException:
        return False


def is_running(pid: int) -> bool:
    """True while a process with this id lives; one that only waits to be collected does not count."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def patched_program(settings: Settings, log: Path, module: str, *arguments: object) -> Program:
    """A module of the tests, patched by gevent like a web worker, on the servers and instance folder of `settings`."""
    command = (sys.executable, "-m", "gevent.monkey", "--module", module, *arguments)
    return Program(command, environment_of(settings), log)


def gunicorn(env: dict[str, str], port: int, log: Path, application: str = "wsgi:app") -> Program:
    """gunicorn as in production, started on `port` of 127.0.0.1."""
    command = (BIN / "gunicorn", "-c", ROOT / "config/gunicorn.py", application)
    return Program(command, env | {"HOST": "127.0.0.1", "PORT": str(port)}, log)


def celery_worker(env: dict[str, str], log: Path, *options: str) -> Program:
    """A Celery worker with two threads and without beat."""
    command = (BIN / "celery", "-A", "celery_worker", "worker", "-P", "threads", "-c", "2", "--loglevel", "info")
    return Program((*command, "--without-gossip", "--without-mingle", *options), env, log)
