"""Which machine of a cluster has which rows: the distribution group and column of each table, and Citus' statements.

The rule that makes this work: a statement touches tables of one group, and names the distribution column of each of
them by equality or IN. Reference tables may stand in any statement. A statement that must look at every machine says
why, by `execution_options(everywhere="reason")`. docs/distribution.md has the list; the tests compare.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Engine, MetaData, select, text


class Group(StrEnum):
    """The value that decides the machine of a row. Rows of one group with the same value are on the same machine."""

    USER = "user id"
    CITY = "city"
    PHONE = "phone"
    NICKNAME = "nickname"
    FORMER_PHONE = "digest of a former phone"
    ORDER = "order id"
    OUTBOX = "outbox id"
    FILE = "file"
    REFERENCE = "reference"


class Place(NamedTuple):
    """The group of a table and its distribution column; no column for a reference table, which is whole everywhere."""

    group: Group
    column: str | None


# By group: the distribution column of each table. The first table of a group decides which machine has which values.
COLUMNS: Mapping[Group, Mapping[str, str]] = {
    Group.USER: {
        "users": "id",
        "preferences": "uid",
        "profile_changes": "uid",
        "uploads": "uid",
        "suspensions": "uid",
        "tombstones": "uid",
        "invalidations": "uid",
        "quotas": "uid",
        "memberships": "uid",
        "paid_periods": "uid",
        "tickets": "uid",
        "swipes": "uid",
        "likes_in": "sid",
        "pairs": "uid1",
        "friends": "uid1",
        "scores": "uid",
        "score_changes": "uid",
        "second_factors": "uid",
        "recovery_codes": "uid",
    },
    Group.CITY: {"discovery": "location"},
    Group.PHONE: {"phones": "phone"},
    Group.NICKNAME: {"nicknames": "folded"},
    Group.FORMER_PHONE: {"deleted_numbers": "digest", "ended_matches": "digest"},
    # A payment provider's notice has the id of the order, and not the id of its owner.
    Group.ORDER: {"orders": "id"},
    # A task gets the id of the message that it sends, and many messages may go to one number.
    Group.OUTBOX: {"sms_outbox": "id"},
    Group.FILE: {"file_removals": "key"},
}
# These tables are small, or only operators write to them. Statements about users of all machines read `operators`.
REFERENCE_TABLES = (
    "vip_levels",
    "vip_permissions",
    "vip_level_permissions",
    "flash_sales",
    "ip_bans",
    "operators",
    "operator_actions",
    "daily_figures",
    "backfills",
    "ranking_state",
)
PLACES: Mapping[str, Place] = {
    table: Place(group, column) for group, tables in COLUMNS.items() for table, column in tables.items()
} | {table: Place(Group.REFERENCE, None) for table in REFERENCE_TABLES}

IS_CITUS = text("SELECT count(*) FROM pg_extension WHERE extname = 'citus'")
# Citus keeps tables of all other kinds on one machine, as it does with tables that it does not know.
DISTRIBUTED = text(
    "SELECT CAST(table_name AS text), citus_table_type, distribution_column FROM citus_tables"
    " WHERE citus_table_type IN ('distributed', 'reference')"
)


class DistributionError(Exception):
    """The tables cannot be distributed; the message says why."""


def statements_for(metadata: MetaData, done: Collection[str] = ()) -> list[str]:
    """Return Citus' statements that distribute the tables of `metadata` except `done`, in the order to run them.

    A table comes after those that its foreign keys name, and after the first table of its group.
    """
    # The sort is stable. After the first tables, the others keep the order of their foreign keys.
    tables = sorted((table.name for table in metadata.sorted_tables), key=lambda name: name != _first_of(name))
    return [_statement(name) for name in tables if name not in done]


def _first_of(table: str) -> str | None:
    return next(iter(COLUMNS.get(PLACES[table].group, ())), None)


def _statement(table: str) -> str:
    _, column = PLACES[table]
    if column is None:
        return f"SELECT create_reference_table('{table}')"
    first = _first_of(table)
    # By default Citus joins groups whose columns have the same type.
    beside = "none" if first == table else first
    return f"SELECT create_distributed_table('{table}', '{column}', colocate_with => '{beside}')"


def distribute(engine: Engine, metadata: MetaData) -> list[str]:
    """Distribute the tables that are not distributed yet, and return the statements that were run.

    Each statement commits by itself, so the next run completes one that was interrupted. Raises DistributionError if
    `engine` is not a PostgreSQL with Citus, or if a table is distributed in another way, and SQLAlchemy's errors if the
    database does not answer or lacks the tables.
    """
    with engine.connect() as connection:
        connection.execute(select(metadata.sorted_tables[0]).limit(1))
    if engine.dialect.name != "postgresql":
        raise DistributionError("Only PostgreSQL with the extension citus distributes tables.")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(IS_CITUS):
            raise DistributionError("This database lacks the extension citus; run CREATE EXTENSION citus first.")
        found = {name: (kind, column) for name, kind, column in connection.execute(DISTRIBUTED)}
        _check(found)
        statements = statements_for(metadata, found)
        for statement in statements:
            connection.execute(text(statement))
    return statements


def _check(found: Mapping[str, tuple[str, str]]) -> None:
    """Raise DistributionError if one of our tables is distributed in another way than here."""
    for name, (kind, column) in found.items():
        place = PLACES.get(name)
        if place is None:
            continue
        if (kind == "reference") != (place.column is None) or (place.column is not None and column != place.column):
            wanted = f"by {place.column}" if place.column else "a reference table"
            raise DistributionError(f"The table {name} is distributed in another way; it should be {wanted}.")
