"""Connections to PostgreSQL and MariaDB: a time limit for each statement, and none to a server that is gone."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, ClassVar

from pymysql.connections import Connection as PyMySQLConnection  # type: ignore[import-untyped]
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DisconnectionError

from swiper.db.time_limits import is_readable, limited_beginning, limited_ending, run_limited
from swiper.db.upsert import COPIED_ROWS
from swiper.fastpath.postgres_statements import leave_out_row
from swiper.outages import is_server_moved


def prepare_server(engine: Engine, main: Engine, seconds: float) -> None:
    """Register the event handlers of an engine whose statements may take `seconds` in a gevent worker.

    `main` is the engine that is disposed of when its server accepts no work; the others follow it.
    """
    _limit_statements(engine, seconds)
    _leave_moved_server(engine, main)
    _keep_rows_out_of_errors(engine)


def _limit_statements(engine: Engine, seconds: float) -> None:
    """Limit each statement to `seconds` in a gevent worker, and replace closed connections before they are used."""
    dialect = engine.dialect
    if dialect.driver == "pymysql":

        @event.listens_for(engine, "do_connect")
        def connect(_dialect: Any, _record: Any, args: Any, parameters: Any) -> Any:
            return SharedTlsConnection(*args, **parameters)

    @event.listens_for(engine, "checkout")
    def refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
        if is_readable(connection):
            # An idle connection is readable only after the server has closed it. The pool then makes a new one.
            raise DisconnectionError("the server has closed this connection")

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        rows = context.execution_options.get(COPIED_ROWS)
        work = (
            partial(cursor.execute, statement, parameters) if rows is None else partial(_copy, cursor, statement, rows)
        )
        run_limited(dialect, seconds, cursor.connection, statement, work)
        return True

    @event.listens_for(engine, "do_executemany")
    def execute_many(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        run_limited(dialect, seconds, cursor.connection, statement, lambda: cursor.executemany(statement, parameters))
        return True

    # SQLAlchemy has no events that could replace these three functions.
    for name in ("do_commit", "do_rollback"):
        setattr(dialect, name, limited_ending(dialect, seconds, name))
    vars(engine)["raw_connection"] = limited_beginning(engine, seconds)


def _copy(cursor: Any, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    """Run a COPY with psycopg. It sends the rows one by one, and the server stores them meanwhile."""
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _leave_moved_server(engine: Engine, main: Engine) -> None:
    """Close all connections, including those for single statements, when a server reports that it accepts no work."""

    @event.listens_for(engine, "handle_error")
    def leave(context: Any) -> None:
        if is_server_moved(context.original_exception):
            context.is_disconnect = True
            # The event `engine_disposed` closes the connections for single statements.
            main.dispose()


def _keep_rows_out_of_errors(engine: Engine) -> None:
    """Remove the refused row from PostgreSQL's errors. They quote it with all personal data, and errors are logged."""

    @event.listens_for(engine, "handle_error")
    def forget_row(context: Any) -> None:
        diagnosis = getattr(context.original_exception, "diag", None)
        if diagnosis is not None and diagnosis.message_detail and context.sqlalchemy_exception is not None:
            kind = type(context.original_exception)
            leave_out_row(context.original_exception)
            context.sqlalchemy_exception.args = (f"({kind.__module__}.{kind.__name__}) {diagnosis.message_primary}",)


class SharedTlsConnection(PyMySQLConnection):  # type: ignore[misc]
    """PyMySQL's connection with one TLS context for all connections that use TLS because the server offers it.

    PyMySQL makes a context for each connection, and reads all certificates of the system for it. This blocks a worker
    for 40 ms (measured with 1.2), ten times as long as the rest of connecting.
    """

    offered_tls: ClassVar[Any] = None

    def fileno(self) -> int:
        """Return the socket's file descriptor, as psycopg's connections do. Raises AttributeError if it is closed."""
        return int(self._sock.fileno())

    def _create_ssl_ctx(self, sslp: Any) -> Any:
        if sslp:
            return super()._create_ssl_ctx(sslp)
        kind = type(self)
        kind.offered_tls = kind.offered_tls or super()._create_ssl_ctx({})
        return kind.offered_tls
