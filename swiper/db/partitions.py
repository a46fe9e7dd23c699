"""Hash partitions of the largest tables, for one large PostgreSQL server: `flask partition`.

The tables of swipes are nine tenths of a large site. In parts, each with indexes of its own, VACUUM and a new index
work on one part at a time, and what is written lies in smaller indexes. The statements stay as they are. The parts are
by the columns that a cluster would distribute the tables by.
"""

import re
from collections.abc import Sequence

from sqlalchemy import Engine, MetaData, Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import AddConstraint, CreateIndex, ExecutableDDLElement

from swiper.db.distribution import PLACES

PARTITIONED = ("swipes", "likes_in", "pairs")
FEWEST, MOST = 2, 256
PART = re.compile(rf"(?:{'|'.join(PARTITIONED)})_part\d+")
# By name: whether the table is partitioned already.
FOUND = text(
    "SELECT relname, relkind = 'p' AS is_partitioned FROM pg_class"
    " WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')"
)
IS_CITUS = text("SELECT count(*) FROM pg_extension WHERE extname = 'citus'")


class PartitionError(Exception):
    """The tables cannot be partitioned; the message says why."""


def is_part(table: str) -> bool:
    """Return True for the name of a part, which the models do not have."""
    return PART.fullmatch(table) is not None


def statements_for(table: Table, parts: int) -> list[str]:
    """Return the statements that make a partitioned table of an ordinary one. They belong into one transaction."""
    name, column = table.name, PLACES[table.name].column
    keys = [str(table.primary_key.name), *sorted(str(index.name) for index in table.indexes)]
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    indexes = sorted(table.indexes, key=lambda each: str(each.name))
    # By default SQLAlchemy would leave the key out of each later CREATE TABLE of this process.
    makes: list[ExecutableDDLElement] = [
        AddConstraint(table.primary_key, isolate_from_table=False),
        *map(CreateIndex, indexes),
    ]
    return [
        f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE",
        f"ALTER TABLE {name} RENAME TO {name}_whole",
        # The names of indexes are those of the schema, and the new ones get the same.
        *[f"ALTER INDEX {key} RENAME TO {key}_whole" for key in keys],
        f"CREATE TABLE {name} (LIKE {name}_whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
        f" PARTITION BY HASH ({column})",
        *[
            f"CREATE TABLE {name}_part{number} PARTITION OF {name}"
            f" FOR VALUES WITH (MODULUS {parts}, REMAINDER {number})"
            for number in range(parts)
        ],
        f"INSERT INTO {name} SELECT * FROM {name}_whole",  # noqa: S608
        f"DROP TABLE {name}_whole",
        *[" ".join(str(make.compile(dialect=dialect)).split()) for make in makes],
    ]


def all_statements(metadata: MetaData, parts: int) -> list[list[str]]:
    """Return the statements for each table. Raises PartitionError for a number of parts that is not allowed."""
    if not FEWEST <= parts <= MOST:
        raise PartitionError(f"The number of parts must be from {FEWEST} to {MOST}.")
    return [statements_for(metadata.tables[name], parts) for name in PARTITIONED]


def partition(engine: Engine, metadata: MetaData, parts: int) -> Sequence[str]:
    """Partition the tables that are not partitioned yet, each in one transaction, and return their names.

    Nobody else reads or writes a table meanwhile. If the command is interrupted, the table is as it was before. Raises
    PartitionError if `engine` is not a PostgreSQL server without Citus, and SQLAlchemy's errors if the database does
    not answer or lacks the tables.
    """
    by_table = dict(zip(PARTITIONED, all_statements(metadata, parts), strict=True))
    if engine.dialect.name != "postgresql":
        raise PartitionError("Only PostgreSQL partitions tables; this database is another one.")
    with engine.connect() as connection:
        if connection.scalar(IS_CITUS):
            raise PartitionError("Citus spreads the tables over machines; flask distribute does that.")
        found = {row.relname: row.is_partitioned for row in connection.execute(FOUND)}
    if missing := [name for name in PARTITIONED if name not in found]:
        raise PartitionError(f"The table {missing[0]} does not exist; run flask db upgrade first.")
    changed = [name for name in PARTITIONED if not found[name]]
    for name in changed:
        with engine.begin() as connection:
            # To copy a filled table takes longer than any statement of a request.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            for statement in by_table[name]:
                connection.execute(text(statement))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"ANALYZE {name}"))
    return changed
