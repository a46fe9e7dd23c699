"""Changes of large tables that keep nobody waiting; migrations use them in place of Alembic's own operations.

Each takes locks for a moment only and leaves what it finds done already, so an upgrade that was interrupted can be run
again. See docs/migrations.md.
"""

import re
import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from swiper.db.sqlite_schema import edit_table
from swiper.db.upgrades import UpgradeError

BATCH_ROWS = 2000
PAUSE_SECONDS = 0.01
# PostgreSQL takes a batch for more rows than it has, and would read whole tables for it, or compile the statement.
AS_FEW_ROWS = sa.text(
    "SELECT "
    + ", ".join(
        f"set_config('{name}', 'off', true)"
        for name in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
    )
)
IS_INVALID = sa.text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column that is nullable or has a server default, which no database writes into the rows."""
    if _dialect() == "sqlite" and not op.get_context().as_sql:
        # Its grammar has no IF NOT EXISTS here.
        if column.name not in {each["name"] for each in sa.inspect(op.get_bind()).get_columns(table)}:
            op.add_column(table, column)
        return
    op.add_column(table, column, if_not_exists=_dialect() != "sqlite")


def create_index(name: str, table: str, columns: Sequence[str | sa.TextClause], *, unique: bool = False) -> None:
    """Build an index while others write. On SQLite, which cannot, writers wait for the time that it takes."""
    if _dialect() == "postgresql":
        with op.get_context().autocommit_block():
            if not op.get_context().as_sql and op.get_bind().scalar(IS_INVALID, {"name": name}):
                # The rest of an interrupted build: it is of no use to queries, yet each write keeps it up.
                op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.create_index(name, table, list(columns), unique=unique, if_not_exists=True, postgresql_concurrently=True)
        return
    commit()
    if _dialect() == "mysql":
        kind = "UNIQUE INDEX" if unique else "INDEX"
        op.execute(
            f"CREATE {kind} IF NOT EXISTS {name} ON {table} ({', '.join(map(str, columns))}) "
            "ALGORITHM=INPLACE LOCK=NONE"
        )
    else:
        op.create_index(name, table, list(columns), unique=unique, if_not_exists=True)
    commit()


def drop_index(name: str, table: str) -> None:
    """Remove an index."""
    if _dialect() == "postgresql":
        with op.get_context().autocommit_block():
            op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        return
    commit()
    op.drop_index(name, table, if_exists=True)
    commit()


def set_not_null(table: str, column: str, kind: sa.types.TypeEngine[Any]) -> None:
    """Refuse NULL in a column of the type `kind`. Raises the database's error where there is one already."""
    commit()
    if _dialect() == "postgresql":
        # SET NOT NULL alone would read the whole table with nobody else in it; a valid check saves it that.
        check = f"ck_{table}_{column}_not_null"
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {check}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({column} IS NOT NULL) NOT VALID")
        commit()
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {check}")
        commit()
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL")
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {check}")
    elif _dialect() == "mysql":
        name = kind.compile(dialect=op.get_context().dialect)
        op.execute(f"ALTER TABLE {table} MODIFY {column} {name} NOT NULL, ALGORITHM=INPLACE, LOCK=NONE")
    else:
        rows = sa.text(f"SELECT 1 FROM {table} WHERE {column} IS NULL LIMIT 1")  # noqa: S608
        if not op.get_context().as_sql and op.get_bind().scalar(rows):
            raise ValueError(f"{table}.{column} is NULL in some row")
        name = re.escape(kind.compile(dialect=op.get_context().dialect))
        edit_table(table, rf'(\b{column}"? {name})(?: NOT NULL)?(?=\s*[,)])', r"\1 NOT NULL")
    commit()


def widen_check(table: str, name: str, condition: str, column: str, kind: sa.types.TypeEngine[Any]) -> None:
    """Let a check constraint of a NOT NULL column of the type `kind` admit more than before.

    What it has admitted so far must fulfil `condition`. On MariaDB the check becomes one of the column, without a name.
    """
    commit()
    if _dialect() == "postgresql":
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID")
        commit()
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
    elif _dialect() == "mysql":
        # Before 11.2, MariaDB would copy the table for a new constraint of it, while writers wait (MDEV-16356).
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, ALGORITHM=INSTANT")
        definition = f"{column} {kind.compile(dialect=op.get_context().dialect)} NOT NULL"
        op.execute(f"ALTER TABLE {table} MODIFY {definition} CHECK ({condition}), ALGORITHM=INSTANT")
    else:
        edit_table(table, rf'(CONSTRAINT "?{name}"? CHECK )\([^()]*\)', rf"\1({condition})")
    commit()


def require_backfill(name: str, table: str) -> None:
    """Refuse to go on before a backfill has finished, unless `table`, whose rows it fills, is empty.

    A migration that takes away what rows had before the backfill begins with this. Raises UpgradeError, which says what
    to do. A script of SQL cannot look, and goes on.
    """
    if op.get_context().as_sql:
        return
    finished = sa.text("SELECT 1 FROM backfills WHERE name = :name AND finished_at IS NOT NULL")
    has_rows = sa.text(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608
    has_rows = has_rows.execution_options(everywhere="A migration is about rows of anybody.")
    if op.get_bind().scalar(finished, {"name": name}) is None and op.get_bind().scalar(has_rows) is not None:
        raise UpgradeError(
            f"The backfill {name} must have finished before this migration. What is done stays done; run "
            f"`flask backfill {name}`, then `flask db upgrade` again."
        )


def in_batches(statement: sa.Update | sa.Delete, *key: sa.ColumnClause[Any]) -> None:
    """Run a statement on all rows of its table, a few at a time in the order of their `key`, and commit each batch.

    `key` is what an index begins with: columns that tell one row from another, or in which a value has few rows. What
    an interrupted upgrade has run is run again, so it must change nothing there. A script of SQL has one statement.
    """
    if op.get_context().as_sql:
        commit()
        op.execute(statement)
        commit()
        return
    last: Sequence[Any] = ()
    while True:
        commit()
        began = time.monotonic()
        keys = sa.select(*key).select_from(statement.table).where(_after(key, last)).order_by(*key).limit(BATCH_ROWS)
        rows = op.get_bind().execute(keys).all()
        if not rows:
            break
        if _dialect() == "postgresql":
            op.execute(AS_FEW_ROWS)
        op.execute(statement.where(*_between(key, rows[0], rows[-1])))
        last = rows[-1]
        commit()
        _let_others_write(time.monotonic() - began)
    commit()


def _let_others_write(seconds: float) -> None:
    """Pause between two batches, of which the last one took `seconds`."""
    if _dialect() != "sqlite":
        time.sleep(PAUSE_SECONDS)
        return
    # Its only write lock is taken when a transaction begins. Others ask for it again and again, on a busy machine not
    # often, so it is free for as long as it was held.
    op.get_bind().exec_driver_sql("COMMIT")
    try:
        time.sleep(max(PAUSE_SECONDS, seconds))
    finally:
        op.get_bind().exec_driver_sql("BEGIN IMMEDIATE")


def _after(key: Sequence[sa.ColumnClause[Any]], values: Sequence[Any], sign: str = ">") -> sa.ColumnElement[bool]:
    """Compare a row's key with values, in a form that this database finds by an index; no values admit all rows."""
    if not values:
        return sa.true()
    if _dialect() != "mysql":
        return sa.tuple_(*key).bool_op(sign)(sa.tuple_(*values))
    # MariaDB reads no range of an index for two rows of values.
    condition: sa.ColumnElement[bool] = key[-1].bool_op(sign)(values[-1])
    for column, value in reversed(list(zip(key[:-1], values[:-1], strict=True))):
        condition = sa.or_(column.bool_op(sign[0])(value), sa.and_(column == value, condition))
    return condition


def _between(
    key: Sequence[sa.ColumnClause[Any]], first: Sequence[Any], last: Sequence[Any]
) -> list[sa.ColumnElement[bool]]:
    """The rows from the key `first` to the key `last`, with bounds of single columns, which show how few they are."""
    same = 0
    while same < len(key) - 1 and first[same] == last[same]:
        same += 1
    conditions: list[sa.ColumnElement[bool]] = [key[place] == first[place] for place in range(same)]
    conditions.append(key[same].between(first[same], last[same]))
    if same < len(key) - 1:
        conditions += [_after(key[same:], first[same:], ">="), _after(key[same:], last[same:], "<=")]
    return conditions


def commit() -> None:
    """End the transaction with its locks, and begin the next one."""
    with op.get_context().autocommit_block():
        pass


def _dialect() -> str:
    return op.get_context().dialect.name
