"""Several statements to PostgreSQL in one round trip, by libpq itself, for the few that most requests consist of.

SQLAlchemy and psycopg's cursors cost a gevent worker ten times what such a statement costs the server. Here statements
are prepared once per connection and sent together (libpq's pipeline mode); everything else about the database stays
SQLAlchemy's. Values travel as text.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from enum import StrEnum
from select import poll
from typing import Any, NoReturn

import psycopg
from gevent.monkey import get_original
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from swiper.outages import is_server_moved

Row = tuple[Any, ...]
Step = tuple["Statement", Sequence[Any]]
WrittenStep = tuple["Statement", "list[bytes | None] | None"]
# What is answered: a statement that is run, or (False) prepared.
Asked = tuple["Statement", bool]
# The same with libpq's result.
Answer = tuple["Statement", bool, Any]
GOOD = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
# The tables have changed since this connection prepared the statement.
STALE_PLAN = "0A000"
READABLE = 1

_numbers = itertools.count()


def _from_bytes(read: Any) -> Callable[[bytes], Any]:
    """`read` for what libpq gives; the kinds that most columns are of need no text in between."""
    if read is int or read is bytes:
        return read
    return bytes.decode if read is str else lambda value: read(value.decode())


class Statement:
    """SQL with parameters `$1`, `$2`, …, and how each column of its result is read: from text, or as `bytes`."""

    def __init__(self, sql: str, *columns: Callable[[str], Any] | type[bytes]) -> None:
        self.sql = " ".join(sql.split())
        self.columns = tuple(map(_from_bytes, columns))
        self.name = f"swiper{next(_numbers)}".encode()
        self.encoded = self.sql.encode()


BEGIN = Statement("BEGIN ISOLATION LEVEL READ COMMITTED")
COMMIT = Statement("COMMIT")


class Texts(list["bytes | None"]):
    """Parameters as PostgreSQL reads them, worked out before."""


_int_text = b"%d".__mod__
WRITERS: dict[type, Callable[[Any], bytes | None]] = {
    int: _int_text,
    str: str.encode,
    date: lambda value: value.isoformat().encode(),
    datetime: lambda value: value.isoformat().encode(),
    list: lambda ids: b"{%s}" % b",".join(map(_int_text, ids)),
    bool: lambda value: b"t" if value else b"f",
    type(None): lambda _: None,
}


def _enum_text(value: Any) -> bytes:
    if isinstance(value, StrEnum):
        return value.value.encode()
    raise TypeError(f"no rule for {type(value).__name__}")


def texts_of(values: Sequence[Any]) -> list[bytes | None]:
    """Parameters as PostgreSQL reads them. Raises TypeError for a kind that none of our statements has."""
    return values if type(values) is Texts else [WRITERS.get(type(value), _enum_text)(value) for value in values]


def written(steps: Sequence[Step]) -> list[WrittenStep]:
    """Statements with their values as PostgreSQL reads them. Raises what `texts_of` does."""
    return [(statement, texts_of(values) if values else None) for statement, values in steps]


def leave_out_row(error: psycopg.Error) -> None:
    """Shorten an error to its first sentence: PostgreSQL quotes a row that it refuses, and errors are logged."""
    if error.diag.message_primary:
        error.args = (error.diag.message_primary,)


def at_mark(asked: Sequence[Asked], mark: Any) -> list[Answer]:
    """The error that stands in the place of the mark behind what was sent together, if one does.

    Without a COMMIT before it, that is where the server commits; if it cannot, it says so there.
    """
    statement, is_run = asked[-1]
    is_told = mark.status != ExecStatus.PIPELINE_SYNC and statement is not COMMIT
    return [(statement, is_run, mark)] if is_told else []


class QuickConnection:
    """One of the driver's connections, with what is prepared on it."""

    def __init__(self, driver: Any, engine: Engine, is_preparing: bool) -> None:
        self.driver = driver
        self.libpq = driver.pgconn
        self.engine = engine
        self.is_preparing = is_preparing
        self.prepared: set[bytes] = set()
        self.libpq.enter_pipeline_mode()
        # gevent's would let others run, who may want this connection as well.
        self.poller = get_original("select", "poll")()
        self.poller.register(self.libpq.socket, READABLE)

    def fileno(self) -> int:
        """The number of its socket."""
        return int(self.libpq.socket)

    def is_readable(self) -> bool:
        """True when something has arrived; while idle, only after the server has hung up. Asks the kernel."""
        return self.libpq.status != psycopg.pq.ConnStatus.OK or bool(self.poller.poll(0))

    def close(self) -> None:
        """End the connection; the server rolls back what was not committed."""
        self.driver.close()

    def ask(self, steps: Sequence[Step]) -> list[list[Row]]:
        """The rows of each statement. All are sent before the first answer is read.

        Raises DBAPIError for what the server says, psycopg's OperationalError where the connection is lost.
        """
        asked = self.send(written(steps))
        self.libpq.pipeline_sync()
        self._flush()
        return self._read(asked)

    def send(self, steps: Sequence[WrittenStep]) -> list[Asked]:
        """Begin to send; returned is what will be answered, in its order."""
        libpq, prepared = self.libpq, self.prepared
        asked = []
        for statement, texts in steps:
            if not self.is_preparing:
                libpq.send_query_params(statement.encoded, texts)
            else:
                if statement.name not in prepared:
                    # Behind what comes before it: to prepare anything else settles the isolation that BEGIN asks for.
                    libpq.send_prepare(statement.name, statement.encoded)
                    # Should that fail, the connection is given up as a whole.
                    prepared.add(statement.name)
                    asked.append((statement, False))
                libpq.send_query_prepared(statement.name, texts)
            asked.append((statement, True))
        return asked

    def _flush(self) -> None:
        while self.libpq.flush():
            self._wait()
            self.libpq.consume_input()

    def _read(self, asked: Sequence[Asked]) -> list[list[Row]]:
        answers: list[Answer] = []
        for statement, is_run in asked:
            answers.append((statement, is_run, self._next_result()))
            # What ends the answer to one statement.
            self._next_result()
        answers += at_mark(asked, self._next_result())
        return self.rows(answers)

    def rows(self, answers: Sequence[Answer]) -> list[list[Row]]:
        """The rows of each statement that was run. Raises DBAPIError where anything was refused."""
        for statement, _, result in answers:
            if result.status not in GOOD:
                self.fail(statement, error_from_result(result))
        return [rows_of(result, statement) for statement, is_run, result in answers if is_run]

    def _next_result(self) -> Any:
        while self.libpq.is_busy():
            self._wait()
            self.libpq.consume_input()
        return self.libpq.get_result()

    def _wait(self) -> None:
        """Until something arrives. What little we send always fits into the kernel's buffer."""
        poller = poll()
        poller.register(self.libpq.socket, READABLE)
        poller.poll()

    def fail(self, statement: Statement, error: psycopg.Error) -> NoReturn:
        """Raise `error` as SQLAlchemy would."""
        leave_out_row(error)
        # A connection that the server ends with these words is lost, even where libpq has not yet met its end.
        is_over = self.libpq.status != psycopg.pq.ConnStatus.OK or error.diag.severity_nonlocalized == "FATAL"
        is_lost = error.sqlstate == STALE_PLAN or is_over or is_server_moved(error)
        raise as_sqlalchemys(error, self.engine, statement.sql, is_lost=is_lost) from error


def as_sqlalchemys(error: psycopg.Error, engine: Engine, sql: str | None = None, *, is_lost: bool = False) -> Any:
    """The driver's `error` as SQLAlchemy would raise it."""
    return DBAPIError.instance(
        sql,
        None,
        error,
        psycopg.Error,
        hide_parameters=True,
        connection_invalidated=is_lost,
        dialect=engine.dialect,
    )


def rows_of(result: Any, statement: Statement) -> list[Row]:
    """What a result has, each column read as its statement says."""
    if not statement.columns or not (count := result.ntuples):
        return []
    get = result.get_value
    if count == 1:
        # One row is what most have, and going by column would cost more than it saves.
        row = [get(0, number) for number in range(len(statement.columns))]
        reads = zip(statement.columns, row, strict=True)
        return [tuple([value if value is None or read is bytes else read(value) for read, value in reads])]
    rows = range(count)
    # By column, since most of the work is done in C that way.
    columns: list[Iterable[Any]] = []
    for number, read in enumerate(statement.columns):
        values = map(get, rows, itertools.repeat(number))
        columns.append(values if read is bytes else [None if value is None else read(value) for value in values])
    return list(zip(*columns, strict=True))


Limit = Callable[[Any, str, Callable[[], Any]], Any]


class _Turn:
    """Somebody who waits: `connection` is what they were handed, None the right to make one."""

    def __init__(self) -> None:
        # Taken until the turn has come.
        self.has_come = threading.Lock()
        self.has_come.acquire()
        self.connection: QuickConnection | None = None


class QuickLane:
    """A small pool of such connections to one database."""

    def __init__(self, engine: Engine, *, size: int, wait_seconds: float, is_preparing: bool, limit: Limit) -> None:
        """`limit` calls its last argument with the time limit of a statement."""
        self.engine = engine
        # Makes what the pool makes; waiting for a place in that itself could mean waiting for those who wait for us.
        self.maker = engine.pool.recreate()
        self.lock = threading.Lock()
        # While somebody waits, nothing is idle and `count` is `size`: so nobody overtakes.
        self.idle: list[QuickConnection] = []
        self.count = 0
        self.waiting: deque[_Turn] = deque()
        self.size = size
        self.wait_seconds = wait_seconds
        self.is_preparing = is_preparing
        self.limit = limit

    def ask(self, *steps: Step) -> list[list[Row]]:
        """The rows of each of several statements, in one round trip. Raises DBAPIError, or PoolTimeoutError."""
        try:
            return self._ask(*steps)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != STALE_PLAN:
                raise
            # Nothing was done, and what lay idle is closed: the next connection prepares for the tables of today.
            return self._ask(*steps)

    def read(self, *steps: Step) -> list[list[Row]]:
        """The same for statements that change nothing and lock nothing."""
        return self.ask(*steps)

    def _ask(self, *steps: Step) -> list[list[Row]]:
        connection = self.take()
        try:
            found = self.within(connection, *steps)
        except BaseException:
            self.give_up(connection)
            raise
        self.give_back(connection)
        return found

    def within(self, connection: QuickConnection, *steps: Step) -> list[list[Row]]:
        """The same on a connection that was taken."""
        try:
            found: list[list[Row]] = self.limit(connection, steps[0][0].sql, lambda: connection.ask(steps))
            return found
        except psycopg.OperationalError as error:
            connection.fail(steps[0][0], error)
        except DBAPIError as error:
            self.close_if_lost(error)
            raise

    def take(self) -> QuickConnection:
        """A connection for one's own, until `give_back`, or `give_up` after any error."""
        connection = self._wait_for_turn()
        try:
            if connection is not None:
                if not connection.is_readable():
                    return connection
                connection.close()
            return self._connect()
        except BaseException:
            self._hand_on(None)
            raise

    def give_back(self, connection: QuickConnection) -> None:
        """Let others have it."""
        self._hand_on(connection)

    def give_up(self, connection: QuickConnection) -> None:
        """Close it; what was begun on it is rolled back."""
        connection.close()
        self._hand_on(None)

    def close_if_lost(self, error: DBAPIError) -> None:
        """What is out of date on one is so on the others: whoever tries again should not meet them in turn."""
        if is_server_moved(error.orig):
            # The engine's own connections lead to the same server; `close_idle` follows.
            self.engine.dispose()
        elif error.connection_invalidated:
            self.close_idle()

    def close_idle(self, *_: Any) -> None:
        """Close what nobody uses; registered for the end of the engine's own pool."""
        with self.lock:
            unused, self.idle = self.idle, []
            self.count -= len(unused)
        for connection in unused:
            connection.close()

    def _wait_for_turn(self) -> QuickConnection | None:
        """An idle connection, or None where the caller is to make one."""
        with self.lock:
            if self.idle:
                return self.idle.pop()
            if self.count < self.size:
                self.count += 1
                return None
            turn = _Turn()
            self.waiting.append(turn)
        try:
            turn.has_come.acquire(timeout=self.wait_seconds)
        except BaseException:
            if not self._withdraw(turn):
                self._hand_on(turn.connection)
            raise
        if self._withdraw(turn):
            raise PoolTimeoutError(f"no connection became free in {self.wait_seconds} s")
        return turn.connection

    def _withdraw(self, turn: _Turn) -> bool:
        """Wait no longer; False when the turn has come."""
        with self.lock:
            is_waiting = turn in self.waiting
            if is_waiting:
                self.waiting.remove(turn)
        return is_waiting

    def _hand_on(self, connection: QuickConnection | None) -> None:
        """Give a connection, or the right to make one, to whoever has waited longest; keep it where nobody waits."""
        with self.lock:
            if self.waiting:
                turn = self.waiting.popleft()
                turn.connection = connection
                turn.has_come.release()
            elif connection is not None:
                self.idle.append(connection)
            else:
                self.count -= 1

    def _connect(self) -> QuickConnection:
        try:
            fairy = self.limit(None, "connect", self.maker.connect)
        except psycopg.Error as error:
            raise as_sqlalchemys(error, self.engine) from error
        driver = fairy.driver_connection
        # From here on it is ours alone.
        fairy.detach()
        return QuickConnection(driver, self.engine, self.is_preparing)
