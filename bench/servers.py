"""The servers under the measured site."""

import csv
import io
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import psutil

from chaos.servers import Postgres

LOG_SECONDS = 10
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


class LoggingPostgres(Postgres):
    """PostgreSQL as Debian ships it, but for its memory; can be asked for a moment to write down each statement.

    A quarter of the machine's memory is its own, as its documentation says to begin with (20.4.1), and it may write
    as much between two checkpoints: the 128 MB and 1 GB that it has by default do not hold one index of a large site.
    """

    def command(self) -> Sequence[object]:
        """See `Server`."""
        quarter = psutil.virtual_memory().total // 4 >> 20
        settings = "-c logging_collector=on -c log_destination=csvlog -c log_filename=server.log"
        settings += f" -c shared_buffers={quarter}MB -c max_wal_size={quarter}MB"
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
