"""MariaDB: PyMySQL's connection with time limits, and statements on its cursor."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, ClassVar, cast

from pymysql.connections import Connection as PyMySQLConnection  # type: ignore[import-untyped]
from pymysql.constants import CLIENT  # type: ignore[import-untyped]
from pymysql.constants.SERVER_STATUS import SERVER_STATUS_IN_TRANS  # type: ignore[import-untyped]
from pymysql.err import OperationalError  # type: ignore[import-untyped]
from sqlalchemy import event
from sqlalchemy.engine import Engine

from swiper.clock import utc_text
from swiper.db.sql import NAME, SERVER_READERS, DriverStatement, Kind, Values, names_in, plain_value, reads_of
from swiper.db.time_limits import TimeLimit


def end_transactions(engine: Engine) -> None:
    """Roll back what is open when a connection returns to the pool. SQLAlchemy would do so after a COMMIT as well.

    That would be a round trip for nothing. psycopg does not send it where no transaction is open.
    """

    @event.listens_for(engine, "reset")
    def end(connection: Any, _record: Any, state: Any) -> None:
        if not state.terminate_only and connection.server_status & SERVER_STATUS_IN_TRANS:
            connection.rollback()


# A node of a Galera cluster may not show yet what another node has committed, and an old row could be cached for all.
# With this, each single statement and the first one of each transaction waits until the node shows it: 1 is for reads,
# 2 for UPDATE and DELETE, 4 for INSERT. Without Galera it does nothing.
SYNC_WAIT = 7
WAIT_FOR_NODES = f"SET SESSION wsrep_sync_wait = {SYNC_WAIT}"
# MySQL's and MariaDB's number for a variable that this server was built without.
UNKNOWN_VARIABLE = 1193


class LimitedPyMySQL(PyMySQLConnection):  # type: ignore[misc]
    """PyMySQL's connection with a time limit, and with one TLS context for all connections of the process.

    The context is that of connections that use TLS because the server offers it. PyMySQL makes a context for each
    connection, and reads all certificates of the system for it. This blocks a worker for 40 ms (measured with 1.2),
    ten times as long as the rest of connecting.
    """

    offered_tls: ClassVar[Any] = None

    def __init__(self, *args: Any, limit_seconds: float, may_lag: bool = False, **parameters: Any) -> None:
        """`limit_seconds` is the time limit of connecting, and of each statement; see SYNC_WAIT for `may_lag`."""
        self.limit_seconds, self.may_lag = limit_seconds, may_lag
        super().__init__(*args, **parameters)

    def connect(self, sock: Any = None) -> None:
        """Connect. Like the other methods, it raises OperationalError when the server does not answer in time."""
        with TimeLimit(self.limit_seconds, OperationalError):
            super().connect(sock)
            if not self.may_lag and "MariaDB" in self.server_version:
                self._wait_for_nodes()

    def _wait_for_nodes(self) -> None:
        try:
            super().query(WAIT_FOR_NODES)
        except OperationalError as error:
            if error.args[0] != UNKNOWN_VARIABLE:
                raise

    def query(self, sql: Any, unbuffered: bool = False) -> int:
        """Run a statement; PyMySQL's cursors call this."""
        with TimeLimit(self.limit_seconds, OperationalError, self):
            return int(super().query(sql, unbuffered))

    def next_result(self, unbuffered: bool = False) -> int:
        """Read the result of the next statement that was sent with the first one."""
        with TimeLimit(self.limit_seconds, OperationalError, self):
            return int(super().next_result(unbuffered))

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


UPSERT = re.compile(r"ON CONFLICT \((\w+)[^)]*\) DO (NOTHING|UPDATE SET)")
OFFERED = re.compile(r"\bexcluded\.(\w+)")
# Parameters of a connection for `OnPymysql.together`. It can only read, so a value that could end its statement and
# begin another one would change nothing.
TOGETHER = {"client_flag": CLIENT.MULTI_STATEMENTS, "init_command": "SET SESSION TRANSACTION READ ONLY"}
# SQL's own notation of a value. Texts are missing: how they are quoted depends on the server's settings.
LITERALS: Mapping[type, Callable[[Any], str]] = {
    int: str,
    bool: lambda value: "1" if value else "0",
    date: lambda value: f"'{value.isoformat()}'",
    datetime: lambda value: f"'{utc_text(value)}'",
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
    return escape(plain_value(value))


class OnPymysql:
    """See `DriverStatement`."""

    def __init__(self, sql: str, columns: Sequence[Kind]) -> None:
        """`sql` has parameters `:name` and lists `IN :name`."""
        upsert = UPSERT.sub(_mariadb_upsert, sql)
        self.names = names_in(sql)
        self.text = NAME.sub(r"%(\1)s", OFFERED.sub(r"VALUES(\1)", upsert))
        self.reads = reads_of(columns, SERVER_READERS)

    def run(self, connection: Any, values: Values, comment: str = "") -> list[Any]:
        """See `DriverStatement`."""
        cursor = connection.cursor()
        cursor.execute(self.written(connection, values) + comment)
        return list(cursor.fetchall())

    def written(self, connection: Any, values: Values) -> str:
        """Return the statement with its values."""
        escape = connection.escape
        return self.text % {name: _literal(values[name], escape) for name in self.names}

    @staticmethod
    def together(
        connection: Any, steps: Sequence[tuple[DriverStatement, Values]], comment: str = ""
    ) -> list[list[Any]]:
        """See `DriverStatement`. `connection` must have been made with `TOGETHER`."""
        cursor = connection.cursor()
        cursor.execute(
            ";".join([cast(OnPymysql, form).written(connection, values) + comment for form, values in steps])
        )
        found = [list(cursor.fetchall())]
        while cursor.nextset():
            found.append(list(cursor.fetchall()))
        return found


def _mariadb_upsert(match: re.Match[str]) -> str:
    # An assignment to itself changes nothing; INSERT IGNORE would hide other errors as well.
    key, action = match.groups()
    return f"ON DUPLICATE KEY UPDATE {f'{key} = {key}' if action == 'NOTHING' else ''}".rstrip()
