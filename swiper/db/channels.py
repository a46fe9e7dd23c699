"""Connections on which statements run by the cursors of their drivers, without SQLAlchemy's."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from blinker import Signal
from sqlalchemy.engine import Engine

from swiper.db.driver_errors import translate
from swiper.db.mariadb import OnPymysql
from swiper.db.servers import OnPsycopg
from swiper.db.sql import DriverStatement, Kind, Read, Statement, Values
from swiper.db.sqlite import OnSqlite
from swiper.fastpath import postgres_statements

Row = postgres_statements.Row
Step = tuple[Statement, Values]
# By the name of SQLAlchemy's dialect.
Form = Callable[[str, Sequence[Kind]], DriverStatement]
FORMS: Mapping[str, Form] = {"sqlite": OnSqlite, "mysql": OnPymysql, "postgresql": OnPsycopg}

# Sent before a statement runs on a driver's cursor: the statement, and the `connection` of SQLAlchemy or of its pool.
# SQLAlchemy's own events do not tell of these statements.
about_to_run = Signal()


# What runs around statements on a driver's cursor, if anything: it gets their texts and the name of the dialect.
Watch = Callable[[Sequence[str], str], AbstractContextManager[None]]
_watches: list[Watch] = []


def watch_statements(watch: Watch) -> None:
    """Let `watch` run around what runs on a driver's cursor from now on, in place of a former one."""
    _watches[:] = [watch]


class Channel(NamedTuple):
    """A connection of SQLAlchemy or its pool, the driver's below it, its engine, and that of transactions (`main`)."""

    connection: Any
    driver: Any
    engine: Engine
    main: Engine

    def run(self, *steps: Step) -> list[list[Row]]:
        """Run statements one after the other, and return the rows of each. Raises SQLAlchemy's errors."""
        if _watches:
            with _watches[-1]([statement.sql for statement, _ in steps], self.engine.dialect.name):
                return self._run(steps)
        return self._run(steps)

    def _run(self, steps: Sequence[Step]) -> list[list[Row]]:
        if about_to_run.receivers:
            for statement, _ in steps:
                about_to_run.send(statement, connection=self.connection)
        dialect = self.engine.dialect
        try:
            forms = [(each.forms.get(dialect.name) or _form(each, dialect.name), values) for each, values in steps]
            if len(forms) > 1 and (together := forms[0][0].together) is not None:
                found = together(self.driver, forms)
            else:
                found = [form.run(self.driver, values) for form, values in forms]
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
    statement.forms[dialect] = form = FORMS[dialect](sql, statement.columns)
    return form
