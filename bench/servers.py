"""The servers under the measured site."""

import csv
import io
import re
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import psutil

from chaos.servers import MariaDB, Postgres, missing_programs

LOG_SECONDS = 10
MARIADB_PROGRAMS = frozenset({"mariadbd", "mariadb-install-db"})
# Fields of a line of the log (PostgreSQL's documentation, 20.8.4. Using CSV-Format Log Output).
DATABASE, MESSAGE, DETAIL = 2, 13, 14


# "execute _pg3_4: SELECT …" for prepared statements, "statement: BEGIN" for others (postgres.c).
LOGGED = re.compile(r"(?:statement|execute [^:]+): (.*)", re.DOTALL)
PARAMETER = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")


@dataclass(frozen=True)
class Statement:
    """A statement as it arrived, with `$1` for its first parameter; a parameter is None for NULL."""

    text: str
    parameters: dict[int, str | None]

    @classmethod
    def read(cls, message: str, detail: str) -> Self | None:
        """From a message of the log and its detail; None where it tells something else."""
        found = LOGGED.fullmatch(message)
        if found is None:
            return None
        values = {
            int(number): None if value == "NULL" else value[1:-1].replace("''", "'")
            for number, value in PARAMETER.findall(detail)
        }
        return cls(found[1], values)


def not_installed(*, needs_mariadb: bool) -> list[str]:
    """Names of the programs that have to be installed before anything can be measured."""
    missing = [name for name in missing_programs() if needs_mariadb or name not in MARIADB_PROGRAMS]
    return missing if shutil.which("wrk") else [*missing, "wrk"]


def _memory_mb() -> int:
    """A quarter of the machine's, as PostgreSQL's documentation says to begin with (20.4.1)."""
    return int(psutil.virtual_memory().total // 4 >> 20)


class RoomyMariaDB(MariaDB):
    """MariaDB as Debian ships it, but for its memory: the 128 MB that it has by default do not hold a large site."""

    def command(self) -> Sequence[object]:
        """See `Server`."""
        return (*super().command(), f"--innodb-buffer-pool-size={_memory_mb()}M")


class LoggingPostgres(Postgres):
    """PostgreSQL as Debian ships it, but for its memory; can be asked for a moment to write down each statement.

    It may write as much between two checkpoints as its memory holds: the 128 MB and 1 GB that it has by default do not
    hold one index of a large site.
    """

    def command(self) -> Sequence[object]:
        """See `Server`."""
        memory = _memory_mb()
        settings = "-c logging_collector=on -c log_destination=csvlog -c log_filename=server.log"
        settings += f" -c shared_buffers={memory}MB -c max_wal_size={memory}MB"
        return (*super().command(), *settings.split(), "-c", f"log_directory={self.folder}")

    def statements_of(self, database: str, action: Callable[[], object]) -> list[Statement]:
        """What is sent to `database` during `action`, in the order of arrival."""
        self._log_statements("all")
        try:
            start = self._mark()
            action()
            end = self._mark()
        finally:
            self._log_statements("none")
        rows = list(csv.reader(io.StringIO(self._log())))
        places = [place for place, row in enumerate(rows) if any(mark in row[MESSAGE] for mark in (start, end))]
        between = rows[places[0] + 1 : places[-1]]
        read = [Statement.read(row[MESSAGE], row[DETAIL]) for row in between if row[DATABASE] == database]
        return [statement for statement in read if statement]

    def _log_statements(self, which: str) -> None:
        self.execute(f"ALTER SYSTEM SET log_statement = '{which}'")
        self.execute("SELECT pg_reload_conf()")

    def _mark(self) -> str:
        """Write a line of our own into the log, and wait until it is there."""
        mark = f"mark {secrets.token_hex(8)}"
        deadline = time.monotonic() + LOG_SECONDS
        while mark not in self._log():
            assert time.monotonic() < deadline, "PostgreSQL writes no log"
            self.execute(f"SELECT '{mark}'")
            time.sleep(0.05)
        return mark

    def _log(self) -> str:
        path = self.folder / "server.csv"
        return path.read_text() if path.exists() else ""
