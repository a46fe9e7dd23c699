"""The servers under the measured site."""

import csv
import io
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaos.servers import Postgres

LOG_SECONDS = 10
# Fields of a line of the log (PostgreSQL's documentation, 20.8.4. Using CSV-Format Log Output).
DATABASE, MESSAGE, DETAIL = 2, 13, 14


@dataclass(frozen=True)
class LoggedStatement:
    """A line of PostgreSQL's log: the message, and the detail that has the parameters."""

    message: str
    detail: str


class LoggingPostgres(Postgres):
    """PostgreSQL as Debian ships it, which can be asked for a moment to write down each statement."""

    def command(self) -> Sequence[object]:
        """See `Server`."""
        settings = "-c logging_collector=on -c log_destination=csvlog -c log_filename=server.log"
        return (*super().command(), *settings.split(), "-c", f"log_directory={self.folder}")

    def statements_of(self, database: str, action: Callable[[], object]) -> list[LoggedStatement]:
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
        return [LoggedStatement(row[MESSAGE], row[DETAIL]) for row in between if row[DATABASE] == database]

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
