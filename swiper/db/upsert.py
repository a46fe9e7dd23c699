"""Inserts that know what to do about a row that is there, and inserts of many rows, on each database."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import CursorResult, Delete, Update
from sqlalchemy.dialects import mysql, postgresql, sqlite

from swiper.extensions import db

# The execution option that carries the rows of a COPY to the engine's events, which hand them to the driver.
COPIED_ROWS = "copied_rows"


def upsert(
    model: Any, rows: Sequence[dict[str, Any]], keys: Sequence[str], changes: Callable[[Any, Any], dict[str, Any]]
) -> None:
    """Insert `rows`, or where `keys` already stand, set `changes(stored, offered)`.

    `stored` gives the columns as they are, `offered` the values of the row that did not fit.
    """
    table = model.__table__
    if _dialect() == "mysql":
        offered = mysql.insert(table)
        db.session.execute(offered.on_duplicate_key_update(changes(table.c, offered.inserted)), rows)
        return
    insert = postgresql.insert if _dialect() == "postgresql" else sqlite.insert
    statement = insert(table)
    db.session.execute(
        statement.on_conflict_do_update(index_elements=list(keys), set_=changes(table.c, statement.excluded)), rows
    )


def insert_if_absent(model: Any, rows: Sequence[dict[str, Any]], keys: Sequence[str]) -> None:
    """Insert `rows`, leaving alone those whose `keys` already stand.

    Who was first is decided by reading the row afterwards, since drivers disagree about the row count.
    """
    table = model.__table__
    if _dialect() == "mysql":
        statement = mysql.insert(table)
        # An assignment to itself changes nothing; INSERT IGNORE would hide other errors as well.
        db.session.execute(statement.on_duplicate_key_update({keys[0]: table.c[keys[0]]}), rows)
        return
    insert = postgresql.insert if _dialect() == "postgresql" else sqlite.insert
    db.session.execute(insert(table).on_conflict_do_nothing(index_elements=list(keys)), rows)


def changed_a_row(statement: Delete | Update) -> bool:
    """Run `statement`; True where it matched a row. Objects that were loaded before stay as they were."""
    # The rows matched, not those changed: SQLAlchemy asks PyMySQL for found rows.
    result = db.session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return bool(result.rowcount)


def bulk_insert(model: Any, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert many rows in the quickest way that the database has, in the running transaction.

    Each row has its values in the order of `columns`. The other columns get their defaults, worked out once for all
    rows. Meant for commands: a web worker gives a statement no time for so many rows.
    """
    connection = db.session.connection()
    dialect, table = connection.dialect, model.__table__
    defaults = {
        column.name: _default_of(column)
        for column in table.c
        if column.default is not None and column.name not in columns
    }
    names = [*columns, *defaults]
    values = _stored(dialect, [table.c[name] for name in names], (*defaults.values(),), rows)
    prepare = dialect.identifier_preparer
    target = f"{prepare.format_table(table)} ({', '.join(map(prepare.quote, names))})"
    if dialect.name == "postgresql":
        connection.exec_driver_sql(f"COPY {target} FROM STDIN", execution_options={COPIED_ROWS: values})
        return
    place = "?" if dialect.paramstyle == "qmark" else "%s"
    # PyMySQL makes statements of many rows out of this form. All names are the model's own.
    statement = f"INSERT INTO {target} VALUES ({', '.join([place] * len(names))})"  # noqa: S608
    if prepared := list(map(tuple, values)):
        connection.exec_driver_sql(statement, prepared)


def _default_of(column: Any) -> Any:
    return column.default.arg(None) if column.default.is_callable else column.default.arg


def _stored(
    dialect: Any, columns: Sequence[Any], constants: tuple[Any, ...], rows: Iterable[Sequence[Any]]
) -> Iterator[Sequence[Any]]:
    """Each row followed by `constants`, as the types of `columns` hand values to the driver."""
    processors = [column.type.dialect_impl(dialect).bind_processor(dialect) for column in columns]
    width = len(columns) - len(constants)
    tail = [process(value) if process else value for process, value in zip(processors[width:], constants, strict=True)]
    # Most columns need nothing done, and what is left is done for each of millions of rows.
    needed = [(place, process) for place, process in enumerate(processors[:width]) if process]
    for row in rows:
        values = [*row, *tail]
        for place, process in needed:
            values[place] = process(values[place])
        yield values


def _dialect() -> str:
    return db.session.get_bind().dialect.name
