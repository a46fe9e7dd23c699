"""The database of a site, dumped and loaded by its own tool.

Passwords go to a tool in a file that only its owner can read, never among its arguments, which every user may see.
"""

import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar

from sqlalchemy import MetaData, create_engine, inspect, literal, select
from sqlalchemy import table as sql_table
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from deploy.backup.errors import BackupError

SHOWN_LINES = 6


class Database(ABC):
    """One database. `private` is a folder that only its owner can read, for files with passwords."""

    # Its name for people.
    label: ClassVar[str]

    def __init__(self, url: URL, private: Path) -> None:
        self.url = url
        self.private = private

    @property
    def kind(self) -> str:
        """Its name for SQLAlchemy, which says whose archives it takes."""
        return self.url.get_backend_name()

    @abstractmethod
    def dump(self, path: Path) -> None:
        """Write what is committed now to a new file. Raises BackupError and OSError."""

    @abstractmethod
    def load(self, path: Path) -> None:
        """Fill the empty database from a dump. Raises BackupError and OSError."""

    def tables(self) -> list[str]:
        """Return the names of its tables. Raises BackupError."""
        engine = create_engine(self.url, poolclass=NullPool)
        try:
            return inspect(engine).get_table_names()
        except SQLAlchemyError as error:
            raise unreachable(error) from error

    def has_rows(self, table: str) -> bool:
        """Return True if one of its tables is not empty. Raises BackupError."""
        engine = create_engine(self.url, poolclass=NullPool)
        try:
            with engine.connect() as connection:
                return connection.execute(select(literal(1)).select_from(sql_table(table)).limit(1)).first() is not None
        except SQLAlchemyError as error:
            raise unreachable(error) from error

    def clear(self, tables: Collection[str]) -> None:
        """Drop these tables. Raises BackupError."""
        engine = create_engine(self.url, poolclass=NullPool)
        try:
            found = MetaData()
            found.reflect(engine, only=list(tables), resolve_fks=False)
            found.drop_all(engine)
        except SQLAlchemyError as error:
            raise unreachable(error) from error

    def private_file(self, name: str, content: str) -> Path:
        """Write a file that only its owner can read."""
        path = self.private / name
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(content)
        return path


def unreachable(error: SQLAlchemyError) -> BackupError:
    """Return what tells the operator that the database fails."""
    words = " ".join(str(getattr(error, "orig", None) or error).split())
    return BackupError(f"the database does not answer: {words}")


def find_tool(package: str, *names: str) -> str:
    """Return the path of the first of these programs that is installed. Raises BackupError that names the package."""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise BackupError(f"{names[0]} is not installed (Debian's package {package})")


class Tool:
    """A program of a database, whose last words are told if it fails."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
        self.command = [str(word) for word in command]
        self.environment = {**os.environ, **(environment or {})}

    def run(self) -> str:
        """Run it to its end, and return what it prints. Raises BackupError."""
        done = subprocess.run(
            self.command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        self._check(done.returncode, done.stderr)
        return done.stdout.decode()

    def read_into(self, target: IO[bytes], notes: Path) -> None:
        """Copy its output to `target`. `notes` is a new file for its messages. Raises BackupError and OSError."""
        self._exchange(notes, stdout=subprocess.PIPE, source=None, target=target)

    def write_from(self, source: IO[bytes], notes: Path) -> None:
        """Give it the content of `source`. Raises BackupError and OSError."""
        self._exchange(notes, stdin=subprocess.PIPE, source=source, target=None)

    def _exchange(self, notes: Path, *, source: IO[bytes] | None, target: IO[bytes] | None, **streams: Any) -> None:
        with notes.open("w+b") as messages:
            given: dict[str, Any] = {
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.DEVNULL,
                "stderr": messages,
            } | streams
            with subprocess.Popen(self.command, env=self.environment, **given) as process:
                try:
                    if process.stdout and target:
                        shutil.copyfileobj(process.stdout, target, 2**20)
                    if process.stdin and source:
                        _feed(source, process.stdin)
                except BaseException:
                    process.kill()
                    raise
            messages.seek(0)
            self._check(process.returncode, messages.read())

    def _check(self, code: int, messages: bytes) -> None:
        if code:
            lines = messages.decode(errors="replace").strip().splitlines()[-SHOWN_LINES:]
            raise BackupError("\n".join([f"{Path(self.command[0]).name} ended with code {code}", *lines]))


def _feed(source: IO[bytes], target: IO[bytes]) -> None:
    try:
        shutil.copyfileobj(source, target, 2**20)
        target.close()
    except BrokenPipeError:
        # The tool has ended, and its exit code and messages say why.
        return
