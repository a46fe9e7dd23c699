"""Migrations of large tables: no lock outlives a few rows, and what was interrupted is done the next time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import Connection, event, text

from chaos.upgrade_drill import FILLED, fill
from config.settings import ROOT
from swiper.db import online_ddl
from swiper.extensions import db

FOLDER = str(ROOT / "migrations")
# The last batch is not a full one.
ROWS = 2 * online_ddl.BATCH_ROWS + 500
# PostgreSQL's locks that keep readers or writers out.
KEPT_OUT = text(
    "SELECT relname, seq_tup_read FROM pg_stat_xact_user_tables WHERE relid IN ("
    "SELECT relation FROM pg_locks WHERE pid = pg_backend_pid() AND granted AND mode IN "
    "('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))"
)
# PostgreSQL adds what former transactions have counted, until it has told that to others: so it must each time.
TELL = text("SELECT pg_stat_force_next_flush()")
# How many rows this session has changed so far, by dialect.
CHANGED = {
    "postgresql": "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_xact_user_tables",
    "mysql": "SELECT sum(VARIABLE_VALUE) FROM information_schema.SESSION_STATUS"
    " WHERE VARIABLE_NAME IN ('HANDLER_UPDATE', 'HANDLER_DELETE', 'HANDLER_WRITE')",
}


@pytest.fixture
def filled(empty_app: Flask) -> Iterator[None]:
    """A database at the first revision with rows in each table."""
    with empty_app.app_context():
        flask_migrate.upgrade(FOLDER, revision="0001")
        with db.engine.connect() as connection:
            fill(connection, ROWS)
        yield


@contextmanager
def watching_commits(check: Any) -> Iterator[None]:
    """Call `check` with the connection before each commit of the application's."""
    event.listen(db.engine, "commit", check)
    try:
        yield
    finally:
        event.remove(db.engine, "commit", check)


def changed_rows(connection: Connection) -> int:
    dialect = connection.dialect.name
    if dialect == "sqlite":
        driver = connection.connection.dbapi_connection
        assert driver is not None
        return int(driver.total_changes)
    return int(connection.exec_driver_sql(CHANGED[dialect]).scalar_one())


@pytest.mark.usefixtures("filled")
def test_no_transaction_changes_more_than_a_batch() -> None:
    counts: list[int] = []
    before = 0

    def count(connection: Connection) -> None:
        nonlocal before
        now = changed_rows(connection)
        if connection.dialect.name == "postgresql":
            connection.execute(TELL)
        # PostgreSQL counts for each transaction, the others for the session.
        counts.append(now if connection.dialect.name == "postgresql" else now - before)
        before = now

    with watching_commits(count):
        flask_migrate.upgrade(FOLDER)
    assert len(counts) > ROWS // online_ddl.BATCH_ROWS
    # SQLite counts the rows that were there before the first commit; MariaDB also those of temporary tables.
    assert online_ddl.BATCH_ROWS <= max(counts[1:]) <= 5 * online_ddl.BATCH_ROWS, counts


@pytest.mark.usefixtures("filled")
def test_nobody_is_kept_out_of_a_table_while_its_rows_are_read() -> None:
    if db.engine.dialect.name != "postgresql":
        # MariaDB refuses `LOCK=NONE` where it cannot; SQLite keeps no reader out.
        check_statements()
        return
    seen: set[str] = set()

    def look(connection: Connection) -> None:
        kept_out = connection.execute(KEPT_OUT).all()
        connection.execute(TELL)
        for table, rows in kept_out:
            if table in FILLED:
                seen.add(table)
                assert rows <= online_ddl.BATCH_ROWS, f"{rows} rows of {table} are read while others are kept out"

    with watching_commits(look):
        flask_migrate.upgrade(FOLDER)
    # Some are, for a moment.
    assert {"pairs", "likes_in", "discovery", "nicknames", "users"} <= seen


def check_statements() -> None:
    """What changes a table that has rows asks the server to keep nobody out."""
    found: list[str] = []

    def look(_connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        words = sql.split()
        is_change = words[:2] == ["ALTER", "TABLE"] or (words[0] == "CREATE" and "INDEX" in words[1:3])
        if is_change and set(words) & set(FILLED):
            found.append(sql)

    event.listen(db.engine, "before_cursor_execute", look)
    try:
        flask_migrate.upgrade(FOLDER)
    finally:
        event.remove(db.engine, "before_cursor_execute", look)
    assert len(found) > 5
    if db.engine.dialect.name == "sqlite":
        # It adds a column to a table, or an index; anything else would be a copy of the table.
        assert all("ADD COLUMN" in sql or "INDEX" in sql for sql in found), found
    else:
        # A new column at the end is added at once, without being asked.
        at_once = ("LOCK=NONE", "ALGORITHM=INSTANT", "ADD COLUMN")
        assert all(any(words in sql for words in at_once) for sql in found), found


class _InterruptedError(Exception):
    pass


@pytest.mark.usefixtures("filled")
def test_an_upgrade_that_was_interrupted_anywhere_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = pauses = 0

    def sleep(_seconds: float) -> None:
        nonlocal pauses
        pauses += 1
        # The first run ends after its first batch, the next one after its second, and so on.
        if pauses == runs:
            raise _InterruptedError

    monkeypatch.setattr(time, "sleep", sleep)
    is_done = False
    while not is_done:
        runs, pauses = runs + 1, 0
        with suppress(_InterruptedError):
            flask_migrate.upgrade(FOLDER)
            is_done = True
    monkeypatch.undo()
    assert runs > 2
    with db.engine.connect() as connection:
        check_filled(connection)
    flask_migrate.check(FOLDER)


def check_filled(connection: Connection) -> None:
    """Each row has what the migrations have put into it, once."""
    masks = connection.execute(text("SELECT uid1 % 2, mask, count(*) FROM pairs GROUP BY 1, 2 ORDER BY 1, 2")).all()
    # Of every second pair both have swiped.
    assert [tuple(map(int, row)) for row in masks] == [(0, 3, ROWS // 2), (1, 27, ROWS // 2)]
    assert connection.scalar(text("SELECT count(*) FROM likes_in WHERE is_answered = 1")) == ROWS
    for number in (1, online_ddl.BATCH_ROWS, ROWS):
        card = connection.scalar(text(f"SELECT card FROM discovery WHERE uid = {number}"))
        assert f'"nickname":"name {number}"' in card
    assert connection.scalar(text("SELECT count(*) FROM discovery WHERE card LIKE '{\"id\":%}'")) == ROWS
    if connection.dialect.name == "sqlite":
        # The definitions of its tables were edited.
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


@pytest.mark.usefixtures("filled")
def test_an_index_whose_build_was_interrupted_is_built_anew() -> None:
    if db.engine.dialect.name != "postgresql":
        # The others build an index or have none.
        with db.engine.begin() as connection:
            connection.execute(text("CREATE INDEX ix_orders_paid_at ON orders (paid_at)"))
        flask_migrate.upgrade(FOLDER, revision="0003")
        return
    flask_migrate.upgrade(FOLDER, revision="0002")
    with db.engine.begin() as connection:
        connection.execute(text("CREATE INDEX ix_orders_paid_at ON orders (paid_at)"))
        # What PostgreSQL leaves where CREATE INDEX CONCURRENTLY ends early.
        state = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_orders_paid_at'::regclass"
        connection.exec_driver_sql(state)
    flask_migrate.upgrade(FOLDER, revision="0003")
    with db.engine.connect() as connection:
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_orders_paid_at'::regclass"
        assert connection.exec_driver_sql(valid).scalar_one() is True


@pytest.mark.usefixtures("filled")
def test_a_column_with_nulls_is_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    flask_migrate.upgrade(FOLDER, revision="0003")
    in_batches = online_ddl.in_batches
    # Nothing is filled in.
    monkeypatch.setattr(online_ddl, "in_batches", lambda *_: None)
    with pytest.raises((SystemExit, ValueError)):
        flask_migrate.upgrade(FOLDER, revision="0004")
    monkeypatch.setattr(online_ddl, "in_batches", in_batches)
    flask_migrate.upgrade(FOLDER, revision="0004")
