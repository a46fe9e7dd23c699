"""SQL as features write it, and how it runs on each database.

A statement is written once, in SQL that all databases here understand, with parameters `:name`. What differs between
them is done here: how parameters, lists of values (`IN :names`) and upserts (`ON CONFLICT`, PostgreSQL's and SQLite's)
are written, and in which form values travel. There are two ways to do the same work:

- *portable*: one statement after the other, for every database and for tables that are spread over machines;
- *single-node PostgreSQL*: what is sent together is one transaction and one round trip (`swiper/fastpath/postgres.py`,
  `swiper/db/stock_postgres.py`), so a feature may put all of its work into one large statement.

A function that works in portable steps may name with `on_single_node` another one that does the same in the second way.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

from sqlalchemy.engine import Connection, Engine

from swiper.clock import aware
from swiper.db.transactions import again_on_conflict, is_in_transaction, session_connection, transactional
from swiper.extensions import REPLICA_KEY, db, this_app
from swiper.fastpath import postgres_statements
from swiper.fastpath.postgres_statements import BEGIN, COMMIT, StatementRunner

P = ParamSpec("P")
R = TypeVar("R")

# What a column holds: int, str, bytes (text that is passed on as it is), bool, date, datetime, or one of our enums.
Kind = type[Any]
Row = postgres_statements.Row
Values = Mapping[str, Any]
Step = tuple["Statement", Values]

NAME = re.compile(r"(?<![:\w]):([a-z_]\w*)")
IN_LIST = re.compile(r"\bIN :([a-z_]\w*)")
UPSERT = re.compile(r"ON CONFLICT \((\w+)[^)]*\) DO (NOTHING|UPDATE SET)")
OFFERED = re.compile(r"\bexcluded\.(\w+)")


class Statement:
    """SQL with parameters `:name`, and what each column of its result holds."""

    def __init__(self, sql: str, *columns: Kind, array_sql: str | None = None, everywhere: str = "") -> None:
        """`array_sql` runs instead of `sql` on a database that takes a list of values as one array: PostgreSQL.

        `everywhere` says why a statement does not name its tables' distribution column (docs/distribution.md).
        """
        self.sql, self.array_sql = " ".join(sql.split()), " ".join((array_sql or sql).split())
        self.columns, self.everywhere = columns, everywhere
        self.names = tuple(dict.fromkeys(NAME.findall(self.sql)))
        self.lists = tuple(dict.fromkeys(IN_LIST.findall(self.sql)))

    @functools.cached_property
    def numbered(self) -> postgres_statements.Statement:
        """The same with `$1`, `$2`, … in the order of `names`, as single-node PostgreSQL runs it."""
        numbers = {name: f"${number}" for number, name in enumerate(self.names, 1)}
        text = IN_LIST.sub(r"= ANY(:\1)", self.array_sql)
        sql = NAME.sub(lambda match: numbers[match[1]], text)
        return postgres_statements.Statement(sql, *(TEXT_READERS.get(kind, kind) for kind in self.columns))

    @functools.cached_property
    def psycopg(self) -> str:
        """The same as psycopg and SQLAlchemy take it."""
        return NAME.sub(r"%(\1)s", IN_LIST.sub(r"= ANY(:\1)", self.array_sql))

    @functools.cached_property
    def pymysql(self) -> str:
        """The same as PyMySQL takes it, which writes lists of values by itself."""
        upsert = UPSERT.sub(_mariadb_upsert, self.sql)
        return NAME.sub(r"%(\1)s", OFFERED.sub(r"VALUES(\1)", upsert))

    def sqlite(self, counts: tuple[int, ...]) -> str:
        """The same as SQLite takes it, for lists of so many values, which are called `name_0`, `name_1`, …

        A count of 0 stands for a list of any length that is passed as one JSON array, called `name`.
        """
        return _with_lists(self, counts) if counts else self.sql


def _mariadb_upsert(match: re.Match[str]) -> str:
    # An assignment to itself changes nothing; INSERT IGNORE would hide other errors as well.
    key, action = match.groups()
    return f"ON DUPLICATE KEY UPDATE {f'{key} = {key}' if action == 'NOTHING' else ''}".rstrip()


@functools.lru_cache(maxsize=100)
def _with_lists(statement: Statement, counts: tuple[int, ...]) -> str:
    sizes = dict(zip(statement.lists, counts, strict=True))

    def expand(match: re.Match[str]) -> str:
        name = match[1]
        if not sizes[name]:
            return f"IN (SELECT value FROM json_each(:{name}))"  # noqa: S608
        return f"IN ({', '.join(f':{name}_{number}' for number in range(sizes[name]))})"

    return IN_LIST.sub(expand, statement.sql)


# --- Values and rows ---


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _moment_of(text: str) -> datetime:
    return _utc(datetime.fromisoformat(text))


def _naive(moment: datetime) -> datetime:
    """UTC without saying so, as SQLite and MariaDB store it. Raises ValueError for a naive time."""
    return aware(moment).astimezone(UTC).replace(tzinfo=None)


# PostgreSQL's text.
TEXT_READERS: dict[Kind, Any] = {bool: "t".__eq__, date: date.fromisoformat, datetime: _moment_of}
# What drivers return; None where it is what we want already.
SQLITE_READERS: dict[Kind, Any] = {bytes: str.encode, bool: bool, date: date.fromisoformat, datetime: _moment_of}
SERVER_READERS: dict[Kind, Any] = {bytes: str.encode, bool: bool, date: None, datetime: _utc}
PLAIN = (int, str)
# SQLite takes longer lists as one JSON array: to name and bind 5,000 values takes 20 ms.
MAX_NAMED = 100

SQLITE_WRITERS: dict[type, Callable[[Any], Any]] = {
    bool: int,
    date: date.isoformat,
    # With microseconds also where they are zero, since SQLite compares text.
    datetime: lambda moment: _naive(moment).isoformat(" ", "microseconds"),
}
MARIADB_WRITERS: dict[type, Callable[[Any], Any]] = {datetime: _naive}
POSTGRES_WRITERS: dict[type, Callable[[Any], Any]] = {datetime: aware}


def _written(values: Values, writers: Mapping[type, Callable[[Any], Any]]) -> dict[str, Any]:
    written = {}
    for name, value in values.items():
        write = writers.get(type(value))
        if write is not None:
            written[name] = write(value)
        else:
            written[name] = value.value if isinstance(value, StrEnum) else value
    return written


def _rows(found: Sequence[Any], kinds: tuple[Kind, ...], readers: Mapping[Kind, Any]) -> list[Row]:
    """Rows of a driver, each column as its kind says."""
    reads = [None if kind in PLAIN else readers.get(kind, kind) for kind in kinds]
    if not any(reads):
        return [tuple(row) for row in found]
    return [
        tuple([value if read is None or value is None else read(value) for read, value in zip(reads, row, strict=True)])
        for row in found
    ]


def _run(connection: Connection, statement: Statement, values: Values) -> list[Row]:
    """Run one statement on a connection of SQLAlchemy's, whose events and errors it has."""
    name = connection.dialect.name
    readers = SERVER_READERS
    if name == "sqlite":
        readers, bound = SQLITE_READERS, _written(values, SQLITE_WRITERS)
        counts = []
        for each in statement.lists:
            # A list without values fits nothing, and so does NULL.
            items = list(bound.pop(each)) or [None]
            if len(items) > MAX_NAMED:
                counts.append(0)
                bound[each] = json.dumps(items)
            else:
                counts.append(len(items))
                bound |= {f"{each}_{number}": item for number, item in enumerate(items)}
        sql = statement.sqlite(tuple(counts))
    elif name == "mysql":
        sql, bound = statement.pymysql, _written(values, MARIADB_WRITERS)
        bound |= {each: list(bound[each]) or [None] for each in statement.lists}
    else:
        sql, bound = statement.psycopg, _written(values, POSTGRES_WRITERS)
        bound |= {each: list(bound[each]) for each in statement.lists}
    options = {"everywhere": statement.everywhere} if statement.everywhere else None
    result = connection.exec_driver_sql(sql, bound, execution_options=options)
    return _rows(result.fetchall(), statement.columns, readers) if statement.columns else []


# --- Running ---


class Database:
    """How an application runs statements; made once by `engines.init_app`."""

    def __init__(self, reading: Engine | None, runner: StatementRunner | None, *, is_single_node: bool) -> None:
        """`reading` is an engine in autocommit for single reads, `runner` what takes its place on PostgreSQL."""
        self.reading, self.runner = reading, runner
        self.is_single_node = is_single_node

    def read(self, steps: Sequence[Step]) -> list[list[Row]]:
        """Run statements outside of a transaction; each sees what is committed."""
        if self.runner is not None:
            return self.runner.read(*map(_numbered, steps))
        assert self.reading is not None
        with self.reading.connect() as connection:
            return [_run(connection, *step) for step in steps]


def _numbered(step: Step) -> postgres_statements.Step:
    statement, values = step
    return statement.numbered, [values[name] for name in statement.names]


def _database() -> Database:
    database: Database = this_app().extensions["database"]
    return database


def read(*steps: Step) -> list[list[Row]]:
    """Run statements that change and lock nothing, and return the rows of each. Raises SQLAlchemy's errors.

    Inside a transactional service they see what it has written so far, inside `replica_reads` they go to a replica.
    """
    if is_in_transaction() or (db.has_session() and REPLICA_KEY in db.session.info):
        return [execute(*step) for step in steps]
    return _database().read(steps)


def execute(statement: Statement, values: Values) -> list[Row]:
    """Run a statement in the session's transaction, and return its rows. Raises SQLAlchemy's errors."""
    return _run(session_connection(), statement, values)


def write(name: str, *steps: Step) -> list[list[Row]]:
    """Run statements in the running transaction, or in one of their own, and return the rows of each.

    The latter is run again after a conflict, so it must be safe to repeat; `name` is for the log.
    """
    database = _database()
    if database.is_single_node and database.runner is not None and not is_in_transaction():
        runner = database.runner
        return again_on_conflict(name, lambda: (runner.ask(*map(_numbered, steps)), []))

    def write_all() -> list[list[Row]]:
        return [execute(*step) for step in steps]

    write_all.__name__ = name
    return transactional(write_all)()


def together(*steps: Step) -> list[list[Row]]:
    """Run statements in one round trip and transaction; for functions named with `on_single_node` alone."""
    runner = _database().runner
    assert runner is not None
    return runner.ask(*map(_numbered, steps))


def commit_together(step: Step) -> list[Row]:
    """Run one statement with BEGIN and COMMIT in one round trip; for functions named with `on_single_node` alone."""
    runner = _database().runner
    assert runner is not None
    _, rows, _ = runner.ask((BEGIN, ()), _numbered(step), (COMMIT, ()))
    return rows


def on_single_node(at_once: Callable[P, R]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let `at_once` take the place of the decorated function where the database is one PostgreSQL server.

    It may use statements that only such a server can run. Inside a transactional service it is not used.
    """

    def decorate(portable: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(portable)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            is_single = _database().is_single_node and not is_in_transaction()
            return (at_once if is_single else portable)(*args, **kwargs)

        return run

    return decorate
