"""`make run` starts the embedded Redis, gunicorn, and Celery with beat, and stops them in the reverse order.

Each part loads the whole application, which takes seconds of CPU. Therefore this process does not load it, and gunicorn
is started first. It waits for `deploy.prepare` only if the database is not ready.
"""

import errno
import fcntl
import logging
import os
import signal
import socket
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from config.load import load_or_exit
from config.settings import ROOT, Settings
from deploy.embedded_redis import NoServerError, adopt_data, answers, redis_command
from deploy.processes import ChildEndedError, Processes, wait_until
from deploy.programs import gunicorn_command, worker_command

log = logging.getLogger("swiper.run")

BIN = Path(sys.executable).parent


class StopRequested(BaseException):
    """Ctrl-C or SIGTERM. A BaseException, so that libraries do not catch it."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    # A second signal must not interrupt the stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise StopRequested()


def main() -> int:
    """Run until a signal comes or a part ends by itself. Return 0 after a signal, otherwise 1."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    settings = load_or_exit()
    settings.instance.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(settings.instance / "run.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _refuse(f"another `make run` uses {settings.instance}; set SWIPER_INSTANCE for a second copy")
        problem = _try_port(settings)
        if problem:
            return _refuse(problem)
        return _run(settings)


def _refuse(reason: str) -> int:
    print(f"swiper: {reason}", file=sys.stderr)
    return 1


def _try_port(settings: Settings) -> str | None:
    """Return why the port cannot be used, as text for the operator, or None if it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {settings.port} is taken; choose another with PORT=…"
            return f"cannot listen on {settings.host}:{settings.port}: {error.strerror}"
    return None


def _run(settings: Settings) -> int:
    processes = Processes()
    try:
        _start(settings, processes)
        _wait_for_end(processes)
        return 1
    except StopRequested:
        print("\nSwiper stops …", flush=True)
        return 0
    except (ChildEndedError, NoServerError) as error:
        # A child has printed the reason by itself.
        return _refuse(str(error))
    except Exception as error:
        log.exception("the start failed")
        return _refuse(str(error))
    finally:
        processes.stop_all()


def _start(settings: Settings, processes: Processes) -> None:
    if settings.is_embedded_redis:
        _start_redis(settings, processes)
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    prepare = (sys.executable, "-m", "deploy.prepare")
    is_ready = is_prepared(settings)
    if not is_ready:
        processes.run("prepare", prepare, env)
    processes.start("gunicorn", _gunicorn_command(), env)
    address = f"http://{settings.host}:{settings.port}"
    wait_until(lambda: _serves(processes, settings), 60, "gunicorn did not serve")
    print(f"\nSwiper serves on {address} (data in {settings.instance}); Ctrl-C stops it.", flush=True)
    processes.start("celery", worker_command(BIN, ROOT, "--beat"), env)
    if is_ready:
        # A new release may add more than the earlier ones did.
        processes.run("prepare", prepare, env)


def _start_redis(settings: Settings, processes: Processes) -> None:
    data_dir = settings.instance / "valkey"
    if adopt_data(settings.instance / "redis", data_dir):
        print("The data of the former Redis were copied to the folder `valkey`; `redis` is no longer used.", flush=True)
    processes.start("redis", redis_command(settings.redis_socket, data_dir))
    wait_until(lambda: _is_there(processes, settings), 30, "redis did not answer")


def _is_there(processes: Processes, settings: Settings) -> bool:
    ended = processes.find_ended()
    if ended:
        # It has printed the reason, for instance that a newer server has written the data.
        raise ChildEndedError(f"{ended[0]} ended with code {ended[1]}")
    return answers(settings.redis_socket)


def is_prepared(settings: Settings) -> bool:
    """Return True if the schema is the newest and there are people, whom `deploy.prepare` adds last."""
    newest = max(path.name for path in (ROOT / "migrations/versions").glob("*.py")).partition("_")[0]
    is_server = not settings.database_url.startswith("sqlite")
    options = {"connect_timeout": settings.database_connect_timeout_seconds} if is_server else {}
    engine = create_engine(settings.database_url, poolclass=NullPool, connect_args=options)
    try:
        with engine.connect() as connection:
            version = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return version == newest and bool(connection.scalar(text("SELECT 1 FROM users LIMIT 1")))
    except SQLAlchemyError:
        # `deploy.prepare` will report the error.
        return False


def _gunicorn_command() -> tuple[str, ...]:
    # Browsers connect directly, and Ctrl-C waits for their idle connections.
    # A worker that is still starting does not get the signal, and gunicorn waits for it until this time is over.
    return gunicorn_command(BIN, ROOT, "--keep-alive", "2", "--graceful-timeout", "5")


def _serves(processes: Processes, settings: Settings) -> bool:
    ended = processes.find_ended()
    if ended:
        raise ChildEndedError(f"{ended[0]} ended with code {ended[1]}")
    connection = HTTPConnection(settings.host, settings.port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _wait_for_end(processes: Processes) -> None:
    """Wait until a child has ended by itself, and print which one."""
    wait_until(lambda: processes.find_ended() is not None, float("inf"), "")
    ended = processes.find_ended()
    if ended:
        _refuse(f"{ended[0]} ended with code {ended[1]}; everything stops")


if __name__ == "__main__":
    sys.exit(main())
