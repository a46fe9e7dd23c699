"""Inserts that handle existing rows, and inserts of many rows, for each database."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import CursorResult, Delete, Update
from sqlalchemy.dialects import mysql, postgresql, sqlite

from swiper.extensions import db

# This execution option carries the rows of a COPY to the engine's events, which pass them to the driver.
COPIED_ROWS = "copied_rows"


def upsert(
    model: Any, rows: Sequence[dict[str, Any]], keys: Sequence[str], changes: Callable[[Any, Any], dict[str, Any]]
) -> None:
    """Insert `rows`. Where a row with the same `keys` exists, set the columns that `changes(stored, offered)` returns.

    `stored` has the columns of the existing row, `offered` those of the new row.
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
    """Insert `rows`, except where a row with the same `keys` exists.

    A caller that must know who was first reads the row afterwards, since drivers disagree about the row count.
    """
    table = model.__table__
    if _dialect() == "mysql":
        statement = mysql.insert(table)
        # Assigning a column to itself changes nothing. INSERT IGNORE would hide other errors as well.
        db.session.execute(statement.on_duplicate_key_update({keys[0]: table.c[keys[0]]}), rows)
        return
    insert = postgresql.insert if _dialect() == "postgresql" else sqlite.insert
    db.session.execute(insert(table).on_conflict_do_nothing(index_elements=list(keys)), rows)


def changed_a_row(statement: Delete | Update) -> bool:
    """Run `statement`, and return True if it matched a row. Objects that were loaded before are not updated."""
    # The count includes matched rows that did not change, since SQLAlchemy asks PyMySQL for found rows.
    result = db.session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return bool(result.rowcount)


def bulk_insert(model: Any, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert many rows in the running transaction, by the fastest method of the database.

    Each row has its values in the order of `columns`. The other columns get their defaults, which are computed once
    for all rows. Only commands use this: in a web worker the statement would exceed its time limit.
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
    # PyMySQL joins many rows into one statement if it has this form. All names come from the model.
    statement = f"INSERT INTO {target} VALUES ({', '.join([place] * len(names))})"  # noqa: S608
    if prepared := list(map(tuple, values)):
        connection.exec_driver_sql(statement, prepared)


def _default_of(column: Any) -> Any:
    return column.default.arg(None) if column.default.is_callable else column.default.arg


def _stored(
    dialect: Any, columns: Sequence[Any], constants: tuple[Any, ...], rows: Iterable[Sequence[Any]]
) -> Iterator[Sequence[Any]]:
    """Yield each row followed by `constants`, converted for the driver by the types of `columns`."""
    processors = [column.type.dialect_impl(dialect).bind_processor(dialect) for column in columns]
    width = len(columns) - len(constants)
    tail = [process(value) if process else value for process, value in zip(processors[width:], constants, strict=True)]
    # Most columns need no conversion. The others are converted for each of millions of rows.
    needed = [(place, process) for place, process in enumerate(processors[:width]) if process]
    for row in rows:
        values = [*row, *tail]
        for place, process in needed:
            values[place] = process(values[place])
        yield values


def _dialect() -> str:
    return db.session.get_bind().dialect.name
