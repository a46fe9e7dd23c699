"""SQL as features write it, and how it runs on each database.

A statement is written once, in SQL that all databases here understand, with parameters `:name`. What differs between
them is done here: how parameters, lists of values (`IN :names`) and upserts (`ON CONFLICT`, PostgreSQL's and SQLite's)
are written, and in which form values travel. There are two ways to do the same work:
- *portable*: one statement after the other, for every database and for tables that are spread over machines;
- *single-node PostgreSQL*: what is sent together is one transaction and one round trip (`swiper/fastpath/postgres.py`,
  `swiper/db/stock_postgres.py`), so a feature may put all of its work into one large statement.
A function that works in portable steps may name another one with `on_single_node` that does the same in the second way.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple, ParamSpec, TypeVar

from gevent import getcurrent
from sqlalchemy.engine import Engine

from swiper.db.comments import IS_COMMENTED, request_comment
from swiper.db.driver_errors import translate
from swiper.db.mariadb import OnPymysql
from swiper.db.servers import OnPsycopg
from swiper.db.sql import NAME as NAME
from swiper.db.sql import DriverStatement, Kind, Read, Values
from swiper.db.sql import Statement as Statement
from swiper.db.sqlite import OnSqlite
from swiper.db.transactions import again_on_conflict, is_in_transaction, session_connection, transactional
from swiper.db.watches import about_to_run, watches
from swiper.extensions import reading_replica, this_app
from swiper.fastpath import postgres_statements
from swiper.fastpath.postgres_statements import StatementRunner

P = ParamSpec("P")
R = TypeVar("R")

Row = postgres_statements.Row
Step = tuple[Statement, Values]
# By the name of SQLAlchemy's dialect.
Form = Callable[[str, Sequence[Kind]], DriverStatement]
FORMS: Mapping[str, Form] = {"sqlite": OnSqlite, "mysql": OnPymysql, "postgresql": OnPsycopg}


class _Channel(NamedTuple):
    """A connection of SQLAlchemy or its pool, the driver's below it, its engine, and that of transactions (`main`)."""

    connection: Any
    driver: Any
    engine: Engine
    main: Engine

    def run(self, *steps: Step) -> list[list[Row]]:
        """Run statements one after the other, and return the rows of each. Raises SQLAlchemy's errors."""
        if watches:
            with watches[-1]([statement.sql for statement, _ in steps], self.engine.dialect.name):
                return self._run(steps)
        return self._run(steps)

    def _run(self, steps: Sequence[Step]) -> list[list[Row]]:
        if about_to_run.receivers:
            for statement, _ in steps:
                about_to_run.send(statement, connection=self.connection)
        dialect = self.engine.dialect
        comment = request_comment() if IS_COMMENTED in self.engine.get_execution_options() else ""
        try:
            forms = [(each.forms.get(dialect.name) or _form(each, dialect.name), values) for each, values in steps]
            if len(forms) > 1 and (together := forms[0][0].together) is not None:
                found = together(self.driver, forms, comment)
            else:
                found = [form.run(self.driver, values, comment) for form, values in forms]
        except BaseException as error:
            if isinstance(error, dialect.loaded_dbapi.Error):
                raise translate(error, "; ".join([statement.sql for statement, _ in steps]), *self) from error
            if not isinstance(error, Exception):
                # This greenlet is ended while it waits, so an answer may still arrive on this connection.
                self.connection.invalidate()
            raise
        return [_converted(rows, form.reads) for rows, (form, _) in zip(found, forms, strict=True)]


def _converted(rows: list[Any], reads: Sequence[Read | None] | None) -> list[Row]:
    """Return the driver's rows with their values as the kinds of the columns say."""
    if reads is None:
        return rows
    return [
        tuple([value if read is None or value is None else read(value) for read, value in zip(reads, row, strict=True)])
        for row in rows
    ]


def _form(statement: Statement, dialect: str) -> DriverStatement:
    sql = statement.array_sql if dialect == "postgresql" else statement.sql
    return statement.forms.setdefault(dialect, FORMS[dialect](sql, statement.columns))


class Database:
    """How an application runs statements; made once by `engines.init_app`."""

    def __init__(
        self, main: Engine, reading: Engine | None, runner: StatementRunner | None, *, is_single_node: bool
    ) -> None:
        """`main` is for transactions, `reading` for single reads, in autocommit; `runner` replaces it on PostgreSQL."""
        self.main, self.reading, self.runner = main, reading, runner
        self.is_single_node = self.is_alone = is_single_node
        self.is_commented = IS_COMMENTED in main.get_execution_options()

    def numbered(self, step: Step) -> postgres_statements.Step:
        """Return a step as runners take it."""
        statement, values = step
        form = statement.numbered
        if self.is_commented:
            form = form.with_comment(request_comment())
        return form, [values[name] for name in statement.names]

    def read(self, steps: Sequence[Step]) -> list[list[Row]]:
        """Run statements outside of a transaction; each sees what is committed."""
        if self.runner is not None:
            return self.runner.read(*map(self.numbered, steps))
        lease = _lease.get()
        if lease is not None and lease.owner is getcurrent() and lease.engine is self.reading:
            return lease.read(steps)
        assert self.reading is not None
        lease = _Lease(self.reading, self.main)
        try:
            return lease.read(steps)
        finally:
            lease.give_back()

    def read_in_steps(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `function` returns. Its reads outside of transactions share one connection."""
        if self.reading is None or _lease.get() is not None:
            return function(*args, **kwargs)
        lease = _Lease(self.reading, self.main)
        token = _lease.set(lease)
        try:
            return function(*args, **kwargs)
        finally:
            _lease.reset(token)
            lease.give_back()


class _Lease:
    """A connection for single reads, which the first of them takes from the pool."""

    def __init__(self, engine: Engine, main: Engine) -> None:
        self.engine, self.main = engine, main
        # Greenlets that this one starts inherit its context. They must not use its connection.
        self.owner = getcurrent()
        self.channel: _Channel | None = None

    def read(self, steps: Sequence[Step]) -> list[list[Row]]:
        """Return the rows of each statement. Raises SQLAlchemy's errors."""
        channel = self.channel = self.channel or self._open()
        try:
            return channel.run(*steps)
        except BaseException:
            # The connection may be lost, so the next read takes another one.
            self.give_back()
            raise

    def give_back(self) -> None:
        """Let others have the connection."""
        if self.channel is not None:
            self.channel.connection.close()
            self.channel = None

    def _open(self) -> _Channel:
        try:
            connection = self.engine.raw_connection()
        except self.engine.dialect.loaded_dbapi.Error as error:
            raise translate(error, None, None, None, self.engine, self.main) from error
        return _Channel(connection, connection.dbapi_connection, self.engine, self.main)


_lease: ContextVar[_Lease | None] = ContextVar("lease", default=None)


def _database() -> Database:
    database: Database = this_app().extensions["database"]
    return database


def read(*steps: Step) -> list[list[Row]]:
    """Run statements that change and lock nothing, and return the rows of each. Raises SQLAlchemy's errors.

    Inside a transactional service they see what it has written so far, inside `on_replica` they go to a replica.
    """
    if is_in_transaction():
        return [execute(*step) for step in steps]
    return (reading_replica.get() or _database()).read(steps)


def execute(statement: Statement, values: Values) -> list[Row]:
    """Return a statement's rows from the running transaction, or else the session's. Raises SQLAlchemy's errors."""
    connection = session_connection()
    engine = connection.engine
    (rows,) = _Channel(connection, connection.connection.dbapi_connection, engine, engine).run((statement, values))
    return rows


def write(name: str, *steps: Step) -> list[list[Row]]:
    """Run statements in the running transaction, or in one of their own, and return the rows of each.

    The latter is run again after a conflict, so it must be safe to repeat; `name` is for the log.
    """
    database = _database()
    if database.is_single_node and database.runner is not None and not is_in_transaction():
        runner = database.runner
        return again_on_conflict(name, lambda: (runner.ask(*map(database.numbered, steps)), []))

    def write_all() -> list[list[Row]]:
        return [execute(*step) for step in steps]

    write_all.__name__ = name
    return transactional(write_all)()


def together(*steps: Step) -> list[list[Row]]:
    """Run statements in one round trip and transaction; for functions named with `on_single_node` alone."""
    database = _database()
    assert database.runner is not None
    return database.runner.ask(*map(database.numbered, steps))


def commit_together(step: Step) -> list[Row]:
    """Run and commit one statement in one round trip; for functions named with `on_single_node` alone."""
    database = _database()
    assert database.runner is not None
    return database.runner.commit(database.numbered(step))


def on_single_node(at_once: Callable[P, R], *, may_lag: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let `at_once` take the place of the decorated function where the database is one PostgreSQL server.

    It is not used inside a transactional service, nor, with `may_lag`, where replicas may answer portable statements.
    """

    def decorate(portable: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(portable)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            if is_in_transaction():
                return portable(*args, **kwargs)
            database = _database()
            if database.is_alone if may_lag else database.is_single_node:
                return at_once(*args, **kwargs)
            return database.read_in_steps(portable, *args, **kwargs)

        return run

    return decorate
