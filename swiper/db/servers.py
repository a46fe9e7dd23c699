"""PostgreSQL and MariaDB: connections whose waiting has a limit, and statements on the drivers' cursors."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import partial
from typing import Any, ClassVar, Self

import psycopg
from pymysql.connections import Connection as PyMySQLConnection  # type: ignore[import-untyped]
from pymysql.constants.SERVER_STATUS import SERVER_STATUS_IN_TRANS  # type: ignore[import-untyped]
from pymysql.err import OperationalError  # type: ignore[import-untyped]
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DisconnectionError

from swiper.clock import aware
from swiper.db.sql import IN_LIST, NAME, Kind, Read, Values, as_utc, reads_of
from swiper.db.time_limits import TimeLimit, is_readable
from swiper.db.upsert import COPIED_ROWS
from swiper.outages import is_silence


def prepare_server(engine: Engine, seconds: float) -> None:
    """Limit each statement to `seconds` in a gevent worker, and replace closed connections before they are used."""
    is_pymysql = engine.dialect.driver == "pymysql"
    connect = partial(LimitedPyMySQL, limit_seconds=seconds) if is_pymysql else LimitedPsycopg.of(seconds).connect

    @event.listens_for(engine, "do_connect")
    def connect_limited(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
        return connect(*args, **parameters)

    @event.listens_for(engine, "checkout")
    def refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
        # `pool_pre_ping` would ask the server, which is a round trip.
        if is_readable(connection):
            # An idle connection is readable only after the server has closed it. The pool then makes a new one.
            raise DisconnectionError("the server has closed this connection")

    if is_pymysql:
        _end_transactions(engine)
    else:
        _copy_rows(engine)


def _end_transactions(engine: Engine) -> None:
    """Roll back what is open when a connection returns to the pool. SQLAlchemy would do so after a COMMIT as well.

    That would be a round trip for nothing. psycopg does not send it where no transaction is open.
    """

    @event.listens_for(engine, "reset")
    def end(connection: Any, _record: Any, state: Any) -> None:
        if not state.terminate_only and connection.server_status & SERVER_STATUS_IN_TRANS:
            connection.rollback()


def _copy_rows(engine: Engine) -> None:
    """Let a statement with the option COPIED_ROWS send its rows with psycopg's COPY."""

    @event.listens_for(engine, "do_execute")
    def copy(cursor: psycopg.Cursor[Any], statement: str, _parameters: Any, context: Any) -> bool:
        rows: Iterable[Sequence[Any]] | None = context.execution_options.get(COPIED_ROWS)
        if rows is None:
            return False
        # The server stores the rows meanwhile.
        with cursor.copy(statement) as writing:
            for row in rows:
                writing.write_row(row)
        return True


class LimitedPyMySQL(PyMySQLConnection):  # type: ignore[misc]
    """PyMySQL's connection with a time limit, and with one TLS context for all connections of the process.

    The context is that of connections that use TLS because the server offers it. PyMySQL makes a context for each
    connection, and reads all certificates of the system for it. This blocks a worker for 40 ms (measured with 1.2),
    ten times as long as the rest of connecting.
    """

    offered_tls: ClassVar[Any] = None

    def __init__(self, *args: Any, limit_seconds: float, **parameters: Any) -> None:
        """`limit_seconds` is the time limit of connecting, and of each statement."""
        self.limit_seconds = limit_seconds
        super().__init__(*args, **parameters)

    def connect(self, sock: Any = None) -> None:
        """Connect. Like the other methods, it raises OperationalError when the server does not answer in time."""
        with TimeLimit(self.limit_seconds, OperationalError):
            super().connect(sock)

    def query(self, sql: Any, unbuffered: bool = False) -> int:
        """Run a statement; PyMySQL's cursors call this."""
        with TimeLimit(self.limit_seconds, OperationalError, self):
            return int(super().query(sql, unbuffered))

    def autocommit(self, value: bool) -> None:
        """Let each statement commit by itself, or not."""
        with TimeLimit(self.limit_seconds, OperationalError, self):
            super().autocommit(value)

    def commit(self) -> None:
        """Commit the transaction."""
        with TimeLimit(self.limit_seconds, OperationalError, self):
            super().commit()

    def rollback(self) -> None:
        """Roll the transaction back."""
        with TimeLimit(self.limit_seconds, OperationalError, self):
            super().rollback()

    def fileno(self) -> int:
        """Return the socket's file descriptor, as psycopg's connections do. Raises AttributeError if it is closed."""
        return int(self._sock.fileno())

    def _create_ssl_ctx(self, sslp: Any) -> Any:
        if sslp:
            return super()._create_ssl_ctx(sslp)
        kind = type(self)
        kind.offered_tls = kind.offered_tls or super()._create_ssl_ctx({})
        return kind.offered_tls


class LimitedPsycopg(psycopg.Connection[Any]):
    """psycopg's connection with a time limit; `of` makes the class for a limit."""

    limit_seconds: ClassVar[float]

    @classmethod
    def of(cls, seconds: float) -> type[Self]:
        """Return a class whose connections have a limit of `seconds` for connecting and for each statement."""
        return type(cls.__name__, (cls,), {"limit_seconds": seconds})

    @classmethod
    def connect(cls, conninfo: str = "", **parameters: Any) -> Self:
        """Connect. Raises OperationalError when the server does not answer in time."""
        with TimeLimit(cls.limit_seconds, psycopg.OperationalError):
            return super().connect(conninfo, **parameters)

    def wait(self, *args: Any, **parameters: Any) -> Any:
        """Wait for what a statement, COMMIT or ROLLBACK brings; psycopg's cursors and transactions call this."""
        try:
            with TimeLimit(self.limit_seconds, psycopg.OperationalError, self):
                return super().wait(*args, **parameters)
        except psycopg.OperationalError as error:
            if is_silence(error):
                # The server may still answer the old statement.
                self.close()
            raise


UPSERT = re.compile(r"ON CONFLICT \((\w+)[^)]*\) DO (NOTHING|UPDATE SET)")
OFFERED = re.compile(r"\bexcluded\.(\w+)")
# A kind that is missing is called with the value.
READERS: Mapping[Kind, Read | None] = {
    **{int: None, str: None, bytes: str.encode, bool: bool, date: None, datetime: as_utc},
}
# SQL's own notation of a value. Texts are missing: how they are quoted depends on the server's settings.
LITERALS: Mapping[type, Callable[[Any], str]] = {
    int: str,
    bool: lambda value: "1" if value else "0",
    date: lambda value: f"'{value.isoformat()}'",
    # UTC without saying so; a naive time is refused.
    datetime: lambda value: f"'{aware(value).astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'microseconds')}'",
    type(None): lambda _: "NULL",
}


def _literal(value: Any, escape: Callable[[Any], str]) -> str:
    """Return a value as it stands in a statement; `escape` is the method of PyMySQL's connection."""
    write = LITERALS.get(type(value))
    if write is not None:
        return write(value)
    if isinstance(value, list | tuple):
        # A list without values fits nothing, and so does NULL.
        return f"({','.join([_literal(each, escape) for each in value]) or 'NULL'})"
    return escape(_plain(value))


def _plain(value: Any) -> Any:
    """Return the value of an enum, and anything else as it is. Raises ValueError for a time without a zone."""
    if type(value) is datetime:
        return aware(value)
    return value.value if isinstance(value, StrEnum) else value


class OnPymysql:
    """See `DriverStatement`."""

    def __init__(self, sql: str, columns: Sequence[Kind]) -> None:
        """`sql` has parameters `:name` and lists `IN :name`."""
        upsert = UPSERT.sub(_mariadb_upsert, sql)
        self.names = tuple(dict.fromkeys(NAME.findall(sql)))
        self.text = NAME.sub(r"%(\1)s", OFFERED.sub(r"VALUES(\1)", upsert))
        self.reads = reads_of(columns, READERS)

    def run(self, connection: Any, values: Values) -> list[Any]:
        """See `DriverStatement`."""
        escape = connection.escape
        literals = {name: _literal(values[name], escape) for name in self.names}
        cursor = connection.cursor()
        cursor.execute(self.text % literals)
        return list(cursor.fetchall())


def _mariadb_upsert(match: re.Match[str]) -> str:
    # An assignment to itself changes nothing; INSERT IGNORE would hide other errors as well.
    key, action = match.groups()
    return f"ON DUPLICATE KEY UPDATE {f'{key} = {key}' if action == 'NOTHING' else ''}".rstrip()


class OnPsycopg:
    """See `DriverStatement`."""

    def __init__(self, sql: str, columns: Sequence[Kind]) -> None:
        """`sql` has parameters `:name` and lists `IN :name`."""
        self.names = tuple(dict.fromkeys(NAME.findall(sql)))
        self.lists = tuple(dict.fromkeys(IN_LIST.findall(sql)))
        self.text = NAME.sub(r"%(\1)s", IN_LIST.sub(r"= ANY(:\1)", sql))
        self.returns_rows = bool(columns)
        self.reads = reads_of(columns, READERS)

    def run(self, connection: Any, values: Values) -> list[Any]:
        """See `DriverStatement`."""
        bound = {name: _plain(values[name]) for name in self.names}
        for name in self.lists:
            # psycopg writes no other sequence as an array.
            bound[name] = list(bound[name])
        cursor = connection.cursor()
        cursor.execute(self.text, bound)
        return list(cursor.fetchall()) if self.returns_rows else []
