"""pgbench with the statements of one request, as PostgreSQL has logged them: they follow the code."""

import re
import subprocess
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import psycopg

from bench.load import CONNECTIONS, LoadError, cpu_seconds
from bench.servers import LoggingPostgres, Statement
from chaos.servers import ENV

# So many requests share one statement of our own, which fetches their ids; each of the others is prepared once.
TOGETHER = 10
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.*")
TABLE = "bench_pairs"

Pair = tuple[int, int]


class Script:
    """The statements of one request between `example`'s two people, to be run for other pairs.

    In all pairs the first id is the lower one, or in all the higher one, as in the example: then statements that have
    the ids in order find them so.
    """

    def __init__(self, statements: Sequence[Statement], example: Pair, folder: Path) -> None:
        self.example = example
        self.path = folder / "pgbench.sql"
        numbers = range(TOGETHER)
        fetched = ", ".join(f"uids[{n + 1}] AS uid{n}, sids[{n + 1}] AS sid{n}" for n in numbers)
        chosen = {
            name: " ".join(f"WHEN :turn % {TOGETHER} = {n} THEN :{name}{n}" for n in numbers) for name in ("uid", "sid")
        }
        lines = [
            rf"\if :turn % {TOGETHER} = 0",
            rf"\set place :start + :client_id * :each + :turn / {TOGETHER}",
            rf"SELECT {fetched} FROM {TABLE} WHERE place = :place \gset",  # noqa: S608 - of our own words
            r"\endif",
            *[rf"\set {name} CASE {cases} END" for name, cases in chosen.items()],
            r"\set turn :turn + 1",
            *[self._line(statement) for statement in statements],
        ]
        self.path.write_text("\n".join(lines) + "\n")

    def _line(self, statement: Statement) -> str:
        def value(found: re.Match[str]) -> str:
            return self._value(statement.parameters[int(found[1])])

        text = re.sub(r"\$(\d+)", value, statement.text) if statement.parameters else statement.text
        # pgbench takes each line for a statement of its own when the one before has ended.
        return " ".join(text.split()).rstrip(";") + ";"

    def _value(self, text: str | None) -> str:
        if text is None:
            return "NULL"
        names = dict(zip(map(str, self.example), (":uid", ":sid"), strict=True))
        if text in names:
            return names[text]
        if TIMESTAMP.fullmatch(text):
            return "now()"
        parts = [part for part in re.split("|".join(f"({uid})" for uid in names), text) if part]
        if len(parts) == 1:
            return _quoted(text)
        return "(" + " || ".join(f"{names[part]}::text" if part in names else _quoted(part) for part in parts) + ")"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class Yardstick:
    """Runs a script for pairs that nobody has taken yet."""

    def __init__(self, postgres: LoggingPostgres, url: str, script: Script) -> None:
        self.postgres, self.url, self.script = postgres, url, script
        self.filled = 0
        self.rate = 1_000.0
        self._execute(f"DROP TABLE IF EXISTS {TABLE}")
        self._execute(f"CREATE TABLE {TABLE} (place bigint PRIMARY KEY, uids bigint[], sids bigint[])")

    def play(self, pairs: Iterable[Pair], seconds: int) -> tuple[float, float]:
        """One round of so many seconds; requests a second, and microseconds of the database for each."""
        each = int(3 * self.rate * seconds / CONNECTIONS / TOGETHER) + 10
        start = self.filled
        self._add(islice(self._ordered(pairs), each * CONNECTIONS * TOGETHER))
        options = {"turn": 0, "start": start, "each": each}
        command = [
            *(self.postgres.bin / "pgbench", "--no-vacuum", "--protocol=prepared", f"--client={CONNECTIONS}"),
            *(f"--time={seconds}", f"--file={self.script.path}"),
            *(f"--define={name}={value}" for name, value in options.items()),
            self.url,
        ]
        assert self.postgres.program is not None
        before = cpu_seconds(self.postgres.program.pid)
        done = subprocess.run([str(word) for word in command], env=ENV, capture_output=True, text=True, check=False)
        spent = cpu_seconds(self.postgres.program.pid) - before
        transactions = re.search(r"actually processed: (\d+)", done.stdout)
        rate = re.search(r"tps = ([0-9.]+)", done.stdout)
        if done.returncode or not transactions or not rate:
            raise LoadError(f"pgbench: {done.stdout[-500:]} {done.stderr[-1500:]}")
        self.rate = float(rate[1])
        return self.rate, 1e6 * spent / int(transactions[1])

    def _ordered(self, pairs: Iterable[Pair]) -> Iterable[Pair]:
        is_rising = self.script.example[0] < self.script.example[1]
        return (pair for pair in pairs if (pair[0] < pair[1]) is is_rising)

    def _add(self, pairs: Iterable[Pair]) -> None:
        source = iter(pairs)
        with psycopg.connect(self.url, autocommit=True) as connection:
            with connection.cursor().copy(f"COPY {TABLE} FROM STDIN") as copy:
                while len(chunk := list(islice(source, TOGETHER))) == TOGETHER:
                    copy.write_row((self.filled, [uid for uid, _ in chunk], [target_id for _, target_id in chunk]))
                    self.filled += 1
            connection.execute(f"ANALYZE {TABLE}")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)
