"""`python -m chaos.upgrade_drill [ROWS]`: how long readers and writers wait while a large database is upgraded.

A database of each kind is made at the first revision, with so many rows in each table, and brought to each revision in
turn, while a reader and a writer use every table that was there. It ends with exit code 1 if one of them has waited
longer than it may.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from chaos.servers import MariaDB, Postgres
from config.settings import ROOT, Settings
from swiper import create_app
from swiper.extensions import db
from tests.processes import BIN, environment_of

ROWS = 1_000_000
LONGEST_SECONDS = 1.0
PAUSE_SECONDS = 0.005
FIRST = "0001"
# Where a database cannot do better; the figure is printed with the reason.
EXCEPTIONS = {("mysql", "0002", "pairs"): "before 11.2, MariaDB copies a table for a new check (MDEV-16356)"}

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
    "discovery": ("uid", "shuffle"),
    "likes_in": ("sid", "liked_at"),
    "pairs": ("uid1", "changed_at"),
    "orders": ("id", "months"),
    "tickets": ("uid", "sale_id"),
}


VERBS = {
    "read": "SELECT {column} FROM {table} WHERE {key} = :number",
    "write": "UPDATE {table} SET {column} = {column} WHERE {key} = :number",
}


class Waits(NamedTuple):
    """What one migration took: its own time, and by table the longest wait of a reader and of a writer, in seconds."""

    seconds: float
    reading: dict[str, float]
    writing: dict[str, float]


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


@contextmanager
def using(engine: Engine, rows: int, verb: str) -> Iterator[dict[str, float]]:
    """Read or write one row of each table after the other meanwhile; give the longest wait by table, in seconds."""
    longest = dict.fromkeys(TOUCHED, 0.0)
    is_over = threading.Event()
    failures: list[BaseException] = []

    def use() -> None:
        number = 0
        try:
            while not is_over.is_set():
                for table, (key, column) in TOUCHED.items():
                    number = number % rows + 1
                    longest[table] = max(longest[table], _touch(engine, verb, table, key, column, number))
                    time.sleep(PAUSE_SECONDS)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    try:
        yield longest
    finally:
        is_over.set()
        thread.join()
    if failures:
        raise failures[0]


def _touch(engine: Engine, verb: str, table: str, key: str, column: str, number: int) -> float:
    """Read or write one row; return the seconds."""
    sql = VERBS[verb].format(table=table, key=key, column=column)
    started = time.monotonic()
    with engine.begin() as connection:
        connection.execute(text(sql), {"number": f"name {number}" if key == "folded" else number})
    return time.monotonic() - started


def drill(settings: Settings, rows: int) -> Iterator[tuple[str, str, Waits]]:
    """Fill an empty database and upgrade it; give dialect, revision and what it took."""
    app = create_app(settings)
    with app.app_context():
        _upgrade(settings, FIRST)
        with db.engine.connect() as connection:
            fill(connection, rows)
        scripts = ScriptDirectory(str(ROOT / "migrations"))
        for script in reversed(list(scripts.walk_revisions(FIRST, "heads"))):
            if script.revision == FIRST:
                continue
            with using(db.engine, rows, "read") as reading, using(db.engine, rows, "write") as writing:
                started = time.monotonic()
                _upgrade(settings, script.revision)
                seconds = time.monotonic() - started
            yield db.engine.dialect.name, script.revision, Waits(seconds, reading, writing)
        db.engine.dispose()


def _upgrade(settings: Settings, revision: str) -> None:
    env = environment_of(settings, LOG_LEVEL="WARNING")
    subprocess.run([BIN / "flask", "db", "upgrade", revision], env=env, cwd=ROOT, check=True)


def main(rows: int) -> int:
    """Print the figures of each database; 1 if one has kept somebody waiting for too long."""
    too_long = 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Postgres(folder / "postgres") as postgres, MariaDB(folder / "mariadb") as mariadb:
            urls = [postgres.create_database("drill"), mariadb.create_database("drill"), f"sqlite:///{folder}/drill.db"]
            for url in urls:
                settings = Settings(
                    _env_file=None,
                    instance=folder / "instance",
                    database_url=url,
                    celery_broker_url="",
                    celery_result_backend="",
                    redis_url="redis://127.0.0.1:1/0",
                    log_level="WARNING",
                )
                for dialect, revision, waits in drill(settings, rows):
                    too_long += _tell(dialect, revision, waits)
    return 1 if too_long else 0


def _tell(dialect: str, revision: str, waits: Waits) -> bool:
    """Print one line; return True if somebody has waited for too long."""
    table = max(waits.writing, key=waits.writing.__getitem__)
    longest = {"read": max(waits.reading.values()), "write": waits.writing[table]}
    reason = EXCEPTIONS.get((dialect, revision, table), "")
    told = ", ".join(f"{verb} {seconds:.2f} s" for verb, seconds in longest.items())
    print(f"{dialect:<10} {revision} {waits.seconds:6.1f} s; longest {told} ({table}) {reason}", flush=True)
    return not reason and max(longest.values()) > LONGEST_SECONDS


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))
