"""Servers of our own on free ports of 127.0.0.1, which an experiment may freeze, kill and start again."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from config.urls import with_driver
from tests.processes import Program, free_port

ENV = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}


def missing_programs() -> list[str]:
    """What has to be installed before the experiments can run, in the names of the programs."""
    needed = ("nginx", "redis-server", "mariadbd", "mariadb-install-db", "setpriv")
    missing = [name for name in needed if shutil.which(name, path=f"{ENV['PATH']}:/usr/sbin") is None]
    return missing + ([] if _postgres_folders() else ["postgres"])


def _postgres_folders() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))


def as_user(name: str) -> tuple[str, ...]:
    """The words before a command that make root run it as `name`: database servers refuse to run as root."""
    if os.getuid():
        return ()
    return ("setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups")


def run(*command: object) -> None:
    """Run a command to its end. Raises subprocess.CalledProcessError with its output."""
    subprocess.run([str(part) for part in command], env=ENV, check=True, capture_output=True, timeout=120)


class Server(ABC):
    """A server process with its data in `folder`; a context manager that ends what it started, by id."""

    user = "root"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o755)
        if not os.getuid():
            shutil.chown(folder, self.user)
        self.folder = folder
        self.port = free_port()
        self.program: Program | None = None

    @abstractmethod
    def command(self) -> Sequence[object]:
        """What starts it."""

    @abstractmethod
    def answers(self) -> bool:
        """True when it serves."""

    def start(self) -> None:
        """Start it, on the same data as before, and wait until it serves."""
        self.program = Program(self.command(), ENV, self.folder / "log")
        self.program.wait_for(self.answers, f"{type(self).__name__} does not serve")

    def family(self) -> list[psutil.Process]:
        """The server and its children."""
        assert self.program is not None, "not started"
        return [psutil.Process(self.program.pid), *self.program.children()]

    def kill(self) -> None:
        """SIGKILL to all of it at once, as when the machine's power goes."""
        assert self.program is not None, "not started"
        self.program.kill()

    def freeze(self) -> None:
        """SIGSTOP: connections are accepted by the kernel, and nothing is answered."""
        assert self.program is not None, "not started"
        # The parent first, so that it makes no further children.
        self.program.send(signal.SIGSTOP)
        for process in self.program.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, frozen or not."""
        if self.program and self.program.process.poll() is None:
            self.kill()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class RedisServer(Server):
    """Redis with an append-only file written every second, as the embedded one is run."""

    program_name = "redis-server"
    password: str | None = None

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return (
            *(self.program_name, "--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"),
        )

    @property
    def url(self) -> str:
        """Its only database."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def version(self) -> str:
        """The number of its release, and its name where that is another than Redis."""
        with Redis(port=self.port) as client:
            told = client.info("server")
        return f"{told['valkey_version']} (Valkey)" if "valkey_version" in told else str(told["redis_version"])

    def answers(self) -> bool:
        """See `Server`."""
        with Redis(port=self.port, password=self.password, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False


class DatabaseServer(Server):
    """A database server on which every site has a database of its own."""

    def url(self, database: str) -> str:
        """The address of one database."""
        raise NotImplementedError

    @property
    def admin_url(self) -> str:
        """A database that is always there."""
        raise NotImplementedError

    def execute(self, statement: str) -> None:
        """Run one statement outside of transactions."""
        with self._connection() as connection:
            connection.execute(text(statement))

    def ask(self, question: str, column: int = 0) -> str:
        """One value of the first row that a statement answers, as text."""
        with self._connection() as connection:
            return str(connection.execute(text(question)).one()[column])

    def _connection(self) -> Connection:
        url = with_driver(self.admin_url)
        return create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect()

    @property
    def version(self) -> str:
        """The number of its release."""
        return re.split(r"[ -]", self.ask("SELECT version()").removeprefix("PostgreSQL "))[0]

    def create_database(self, name: str) -> str:
        """Make a database; its address is returned."""
        suffix = " CHARACTER SET utf8mb4" if make_url(self.admin_url).get_backend_name() == "mysql" else ""
        self.execute(f"CREATE DATABASE {name}{suffix}")
        return self.url(name)

    def answers(self) -> bool:
        """See `Server`."""
        try:
            self.execute("SELECT 1")
        except OperationalError:
            return False
        return True


class Postgres(DatabaseServer):
    """PostgreSQL as Debian ships it, durable, with room for all connections of a site."""

    user = "postgres"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.bin = _postgres_folders()[-1]
        run(
            *as_user(self.user),
            self.bin / "initdb",
            "-D",
            folder / "data",
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
        )

    def command(self) -> Sequence[object]:
        """See `Server`."""
        settings = f"-c listen_addresses=127.0.0.1 -c max_connections=300 -c unix_socket_directories= -p {self.port}"
        return (*as_user(self.user), self.bin / "postgres", "-D", self.folder / "data", *settings.split())

    def url(self, database: str) -> str:
        """See `DatabaseServer`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def admin_url(self) -> str:
        """See `DatabaseServer`."""
        return self.url("postgres")


class MariaDB(DatabaseServer):
    """MariaDB as Debian ships it, durable, with room for all connections of a site."""

    user = "mysql"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        options = ("--auth-root-authentication-method=normal", "--skip-test-db", *self._as_user())
        run("mariadb-install-db", "--no-defaults", f"--datadir={folder / 'data'}", *options)

    def _as_user(self) -> tuple[str, ...]:
        return () if os.getuid() else (f"--user={self.user}",)

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return (
            *(shutil.which("mariadbd", path=f"{ENV['PATH']}:/usr/sbin"), "--no-defaults", *self._as_user()),
            *(f"--datadir={self.folder / 'data'}", "--bind-address=127.0.0.1", f"--port={self.port}"),
            *(f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}", "--max-connections=300"),
        )

    def url(self, database: str) -> str:
        """See `DatabaseServer`."""
        return f"mysql://root@127.0.0.1:{self.port}/{database}"

    @property
    def admin_url(self) -> str:
        """See `DatabaseServer`."""
        return f"mysql://root@127.0.0.1:{self.port}/mysql"
