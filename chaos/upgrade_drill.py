"""`make upgrade-drill`: how long readers and writers wait while a large database is upgraded.

A database of each kind is made at the first revision, with so many rows in each table, and brought to each revision in
turn, while a reader and a writer use every table that was there. It ends with exit code 1 if a lock has kept one of
them waiting longer than it may.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from chaos.servers import MariaDB, Postgres
from chaos.waits import READ, WRITE, Use, Waits, measured
from config.settings import ROOT, Settings
from config.urls import with_driver
from swiper import create_app
from swiper.extensions import db
from tests.processes import BIN, environment_of

ROWS = 1_000_000
LONGEST_SECONDS = 1.0
FIRST = "0001"

# By dialect: a table `numbers` with the numbers from 1 to :rows in `n`.
NUMBERS = {
    "postgresql": "generate_series(1, {rows}) AS numbers(n)",
    "mysql": "(SELECT CAST(seq AS SIGNED) AS n FROM seq_1_to_{rows}) AS numbers",
    "sqlite": "(WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < {rows}) SELECT n FROM i)",
}
MOMENT = "'2026-03-10 04:05:06'"
CITY = "CASE n % 4 WHEN 0 THEN 'Beijing' ELSE 'Shanghai' END"
SEX = "CASE n % 2 WHEN 0 THEN 'male' ELSE 'female' END"
BIO = "'Likes long walks, short upgrades and the number ' || n || '.'"
# By table of the first revision: the columns, and the values of the row with the number n.
FILLED = {
    "users": (
        "id, phone, nickname, sex, birthday, location, bio, avatar, status, is_robot, created_at",
        f"n, 'p' || n, 'name ' || n, {SEX}, '1990-01-01', {CITY}, {BIO}, '/a', 'active', true, {MOMENT}",
    ),
    "preferences": (
        "uid, min_distance, max_distance, min_dating_age, max_dating_age, vibration, only_match, auto_play",
        "n, 1, 10, 18, 45, true, false, true",
    ),
    "uploads": ("uid, id, kind, key, url, is_pushed, created_at", f"n, n, 'photo', 'k', '/p', true, {MOMENT}"),
    "nicknames": ("folded, uid", "'name ' || CASE n % 1000 WHEN 0 THEN ' ' ELSE '' END || n, n"),
    "discovery": (
        "location, uid, sex, dating_sex, birthday, shuffle",
        f"{CITY}, n, {SEX}, 'any', '1990-01-01', (n % 100003) * 7",
    ),
    "swipes": ("uid, sid, kind, swiped_at", f"n, n - 1 + 2 * (n % 2), 'like', {MOMENT}"),
    "likes_in": ("sid, uid, is_super, liked_at", f"n - 1 + 2 * (n % 2), n, 0, {MOMENT}"),
    "pairs": ("uid1, uid2, mask, changed_at", f"n, n + 1, 3, {MOMENT}"),
    "orders": (
        "id, uid, level, months, amount_cents, currency, provider, state, created_at, paid_at",
        f"n, n, 1, 1, 990, 'CNY', 'sandbox', 'paid', {MOMENT}, {MOMENT}",
    ),
    "tickets": ("uid, id, sale_id, state, queued_at", f"n, n, 1, 'ordered', {MOMENT}"),
}
# By table: the column of the row's number, and one that is changed.
TOUCHED = {
    "users": ("id", "bio"),
    "nicknames": ("folded", "uid"),
    # Both columns of its key.
    "discovery": ("location IN ('Beijing', 'Shanghai') AND uid", "shuffle"),
    "likes_in": ("sid", "liked_at"),
    "pairs": ("uid1", "changed_at"),
    "orders": ("id", "months"),
    "tickets": ("uid", "sale_id"),
}

VERBS = {
    READ: "SELECT {column} FROM {table} WHERE {key} = :number",
    WRITE: "UPDATE {table} SET {column} = {column} WHERE {key} = :number",
}


class Step(NamedTuple):
    """What one migration of a database took: its own seconds, and what readers and writers have waited."""

    dialect: str
    revision: str
    seconds: float
    waits: Mapping[str, Waits]

    @property
    def longest(self) -> float:
        """How long a lock has kept somebody waiting, in seconds."""
        return max(max(waits.for_locks.values()) for waits in self.waits.values())

    def __str__(self) -> str:
        told = []
        for kind, waits in self.waits.items():
            table = max(waits.for_locks, key=waits.for_locks.__getitem__)
            everything = max(waits.longest.values())
            told.append(f"{kind} {waits.for_locks[table]:.2f} s ({table}; {everything:.2f} s with all other reasons)")
        return f"{self.dialect:<10} {self.revision} {self.seconds:6.1f} s; longest wait to {', to '.join(told)}"


def fill(connection: Connection, rows: int) -> None:
    """Put so many rows into each table of a database at the first revision."""
    dialect = connection.dialect.name
    if dialect == "mysql":
        connection.execute(text("SET SESSION sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')"))
    numbers = NUMBERS[dialect].format(rows=rows)
    for table, (columns, values) in FILLED.items():
        names = columns.replace(" key,", " `key`,") if dialect == "mysql" else columns
        sql = f"INSERT INTO {table} ({names}) SELECT {values} FROM {numbers}"  # noqa: S608
        # The servers' drivers take % for the beginning of a parameter.
        connection.exec_driver_sql(sql if dialect == "sqlite" else sql.replace("%", "%%"))
        # As the server does by itself after a while.
        connection.exec_driver_sql(f"ANALYZE {'TABLE ' if dialect == 'mysql' else ''}{table}")
        connection.commit()


def uses(rows: int) -> dict[str, list[Use]]:
    """The statements of a reader and of a writer, each on one row of a table after the other."""
    found: dict[str, list[Use]] = {kind: [] for kind in VERBS}
    for table, (key, column) in TOUCHED.items():
        prefix = "name " if key == "folded" else None

        def values(number: int, prefix: str | None = prefix) -> dict[str, object]:
            place = number % rows + 1
            return {"number": place if prefix is None else f"{prefix}{place}"}

        for kind, sql in VERBS.items():
            found[kind].append(Use(table, sql.format(table=table, key=key, column=column), values))
    return found


def drill(settings: Settings, control_url: str, rows: int) -> Iterator[Step]:
    """Fill an empty database and upgrade it; `control_url` is another one of the same server, or a file beside it."""
    app = create_app(settings)
    control = create_engine(with_driver(control_url), poolclass=NullPool)
    with upgrading(settings) as upgrade, app.app_context():
        upgrade(FIRST)
        with db.engine.connect() as connection:
            fill(connection, rows)
        scripts = ScriptDirectory(str(ROOT / "migrations"))
        for script in reversed(list(scripts.walk_revisions(FIRST, "heads"))):
            if script.revision == FIRST:
                continue
            with measured(db.engine, control, uses(rows)) as waits:
                started = time.monotonic()
                upgrade(script.revision)
                seconds = time.monotonic() - started
            yield Step(db.engine.dialect.name, script.revision, seconds, waits)
        db.engine.dispose()


def settings_for(url: str, instance: Path) -> Settings:
    """The settings of a site on an empty database, of which nothing but migrations runs."""
    return Settings(
        _env_file=None,
        instance=instance,
        database_url=url,
        celery_broker_url="",
        celery_result_backend="",
        redis_url="redis://127.0.0.1:1/0",
        log_level="WARNING",
    )


@contextmanager
def upgrading(settings: Settings) -> Iterator[Callable[[str], None]]:
    """Give what upgrades the database to a revision, in a process of its own. Raises RuntimeError if that fails."""
    env = environment_of(settings, LOG_LEVEL="WARNING")
    command = (str(BIN / "python"), "-m", "chaos.upgrade_steps")
    with subprocess.Popen(
        command, env=env, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None, "it is a pipe"
        assert process.stdout is not None, "it is a pipe"

        def upgrade(revision: str) -> None:
            print(revision, file=process.stdin, flush=True)
            if process.stdout is None or process.stdout.readline().strip() != revision:
                raise RuntimeError(f"the upgrade to {revision} has failed")

        yield upgrade
        process.stdin.close()


def main(rows: int) -> int:
    """Print the figures of each database; 1 if a lock of one has kept somebody waiting for too long."""
    too_long = 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Postgres(folder / "postgres") as postgres, MariaDB(folder / "mariadb") as mariadb:
            places = [
                (server.create_database("drill"), server.create_database("other")) for server in (postgres, mariadb)
            ]
            for url, control_url in [*places, (f"sqlite:///{folder}/drill.db", f"sqlite:///{folder}/other.db")]:
                for step in drill(settings_for(url, folder / "instance"), control_url, rows):
                    print(step, flush=True)
                    too_long += step.longest > LONGEST_SECONDS
    if too_long:
        print(f"{too_long} migrations have kept somebody waiting for more than {LONGEST_SECONDS:g} s", file=sys.stderr)
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))
