"""What `flask check` asks a database: its time, whether it takes writes, and whether it has this release's schema."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, Engine, inspect, text

from swiper.db.mariadb import SYNC_WAIT
from swiper.db.revisions import STORED, known_revisions

# By dialect: seconds since 1970 by the server's clock, and if the server takes no writes. SQLite is a file.
STATES = {
    "postgresql": text("SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision), pg_is_in_recovery()"),
    "mysql": text("SELECT unix_timestamp(sysdate(6)), @@global.read_only"),
}
CLUSTER = text("SHOW SESSION VARIABLES WHERE variable_name IN ('wsrep_on', 'wsrep_sync_wait')")
# Alembic's table.
VERSIONS = "alembic_version"


class DatabaseState(NamedTuple):
    """What a database says of itself. `clock` is in seconds since 1970, and None where there is no server."""

    clock: float | None
    is_read_only: bool


def state_of(connection: Connection) -> DatabaseState:
    """Ask the server. Raises SQLAlchemy's errors when it does not answer."""
    statement = STATES.get(connection.dialect.name)
    if statement is None:
        return DatabaseState(None, is_read_only=False)
    clock, is_read_only = connection.execute(statement).one()
    return DatabaseState(float(clock), is_read_only=bool(is_read_only))


def find_cluster_fault(connection: Connection) -> str | None:
    """Return why a Galera cluster would show old rows, or None. Our connections ask its nodes not to: see SYNC_WAIT."""
    if connection.dialect.name != "mysql":
        return None
    found = {str(row[0]): str(row[1]) for row in connection.execute(CLUSTER)}
    if found.get("wsrep_on") != "ON" or found["wsrep_sync_wait"] == str(SYNC_WAIT):
        return None
    return (
        f"wsrep_sync_wait is {found['wsrep_sync_wait']} instead of {SYNC_WAIT}, so a node of the Galera cluster may "
        "show old rows; a proxy does not keep what a connection sets"
    )


def find_schema_fault(connection: Connection) -> str | None:
    """Return how the schema differs from this release's migrations, or None if it has exactly these."""
    (heads, known), found = known_revisions(), current_heads(connection)
    if found == heads:
        return None
    if not found:
        return "the database has no schema yet; run `flask db upgrade`"
    unknown = found - known
    if unknown:
        return f"the schema is ahead of this release, which has no migration {_joined(unknown)}; run a newer release"
    return f"the schema is behind, at {_joined(found)} and not at {_joined(heads)}; run `flask db upgrade`"


def lacks_tables(engine: Engine) -> bool:
    """Return True if the schema is not that of this release. Raises SQLAlchemy's errors."""
    with engine.connect() as connection:
        return find_schema_fault(connection) is not None


def current_heads(connection: Connection) -> set[str]:
    """Return the migrations that the database is at."""
    return set(connection.scalars(STORED)) if inspect(connection).has_table(VERSIONS) else set()


def _joined(revisions: Collection[str]) -> str:
    return ", ".join(sorted(revisions))
