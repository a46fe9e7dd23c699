"""Upgrades of the schema: one at a time, and none that keeps others waiting behind it for a lock."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import func, inspect, select, text
from sqlalchemy.exc import DBAPIError

from config.settings import ROOT, Settings
from deploy.prepare import FIRST_ROBOTS
from swiper.db.checks import lacks_tables
from swiper.db.upgrades import TRIES, UpgradeError, repeat_while_locked, upgrade_connection, upgrade_lock
from swiper.extensions import db
from swiper.profiles.models import User
from swiper.vip.levels import TOP_LEVEL
from swiper.vip.models import VipLevel
from tests import services
from tests.processes import BIN, Program, environment_of

FOLDER = str(ROOT / "migrations")


@pytest.fixture
def upgrade(empty_app: Flask, settings: Settings, tmp_path: Path) -> Iterator[Callable[[], Program]]:
    """Starts `flask db upgrade` as a process, for the empty database."""
    with empty_app.app_context():
        url = db.engine.url.render_as_string(hide_password=False)
        env = environment_of(settings.model_copy(update={"database_url": url}))
        started: list[Program] = []

        def start() -> Program:
            program = Program((BIN / "flask", "db", "upgrade"), env, tmp_path / f"upgrade-{len(started)}.log")
            started.append(program)
            return program

        yield start
        for program in started:
            program.stop()


def test_two_upgrades_at_once_are_one(upgrade: Callable[[], Program]) -> None:
    both = [upgrade(), upgrade()]
    assert [program.wait() for program in both] == [0, 0], [program.output for program in both]
    assert not lacks_tables(db.engine)
    # One of them has found nothing left to do.
    assert sorted(program.output.count("-> 0001") for program in both) == [0, 1]


def test_two_machines_may_prepare_a_database_at_once(empty_app: Flask, settings: Settings, tmp_path: Path) -> None:
    """One of them fills it, the other one waits and finds nothing left to do."""
    with empty_app.app_context():
        url = db.engine.url.render_as_string(hide_password=False)
        machines = []
        for name in ("first", "second"):
            changes = {"database_url": url, "instance": tmp_path / name, "robots_per_city": 0}
            env = environment_of(settings.model_copy(update=changes)) | {"PYTHONPATH": str(ROOT)}
            machines.append(Program((sys.executable, "-m", "deploy.prepare"), env, tmp_path / f"{name}.log"))
        try:
            assert [machine.wait() for machine in machines] == [0, 0], [machine.output for machine in machines]
        finally:
            for machine in machines:
                machine.stop()
        assert sum(machine.output.count("robots move in") for machine in machines) == 1
        assert db.session.scalar(select(func.count()).select_from(User)) == FIRST_ROBOTS
        assert db.session.scalar(select(func.count()).select_from(VipLevel)) == TOP_LEVEL + 1


def test_an_upgrade_says_that_it_waits_for_another(upgrade: Callable[[], Program]) -> None:
    with upgrade_lock(db.engine):
        program = upgrade()
        program.wait_for_line("another process changes the schema")
        assert lacks_tables(db.engine)
    assert program.wait() == 0
    assert not lacks_tables(db.engine)


def test_an_upgrade_waits_for_another_only_so_long(empty_app: Flask) -> None:
    with empty_app.app_context():
        with upgrade_lock(db.engine), pytest.raises(UpgradeError), upgrade_lock(db.engine, wait_seconds=0):
            pass
        with upgrade_lock(db.engine, wait_seconds=0):
            pass


def test_whoever_only_looks_at_the_schema_does_not_wait(empty_app: Flask) -> None:
    with empty_app.app_context():
        flask_migrate.upgrade(FOLDER)
        with upgrade_lock(db.engine):
            flask_migrate.check(FOLDER)
            flask_migrate.current(FOLDER)
        flask_migrate.stamp(FOLDER, revision="0009")
        assert lacks_tables(db.engine)


def test_a_database_is_upgraded_whose_pool_has_one_connection(make_app: Callable[..., Flask], empty_app: Flask) -> None:
    with empty_app.app_context():
        url = db.engine.url.render_as_string(hide_password=False)
    app = make_app(database_url=url, database_pool_size=1, database_max_overflow=0, database_pool_timeout_seconds=1)
    with app.app_context():
        flask_migrate.upgrade(FOLDER)
        assert not lacks_tables(db.engine)


def test_a_database_may_have_as_long_a_name_as_its_server_allows(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    name, kind = f"swiper_{os.getpid()}_".ljust(63, "n"), os.environ.get("TEST_DATABASE")
    url = f"sqlite:///{tmp_path / name}"
    if kind:
        server = services.database_url(kind)
        url = services.recreate_database(server, name).render_as_string(hide_password=False)
    app = make_app(database_url=url)
    with app.app_context():
        flask_migrate.upgrade(FOLDER)
        with upgrade_lock(db.engine), pytest.raises(UpgradeError), upgrade_lock(db.engine, wait_seconds=0):
            pass
        db.engine.dispose()
    if kind:
        services.drop_database(server, name)


def test_a_lock_of_a_long_transaction_stops_neither_the_upgrade_nor_those_behind_it(empty_app: Flask) -> None:
    changed, reads = threading.Event(), 0
    with empty_app.app_context():
        flask_migrate.upgrade(FOLDER)
        engine = db.engine

        def change() -> None:
            with upgrade_connection(engine) as connection:

                def add() -> None:
                    connection.rollback()
                    connection.execute(text("ALTER TABLE users ADD COLUMN probe INTEGER"))
                    connection.commit()
                    changed.set()

                repeat_while_locked(add, 0.1)

        thread = threading.Thread(target=change)
        with engine.connect() as long:
            if engine.dialect.name == "sqlite":
                long.exec_driver_sql("ROLLBACK")
                long.exec_driver_sql("BEGIN IMMEDIATE")
            long.execute(text("SELECT count(*) FROM users"))
            thread.start()
            # The change waits for its lock, gives up, and tries again.
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                with engine.connect() as other:
                    other.execute(text("SELECT count(*) FROM users"))
                reads += 1
            assert not changed.is_set()
            long.rollback()
        thread.join()
        assert changed.is_set()
        # Behind a statement that waits for ever, the first read would have waited for the whole transaction.
        assert reads > 1
        assert "probe" in {column["name"] for column in inspect(engine).get_columns("users")}


class _Locked(Exception):
    sqlstate = "55P03"


def test_an_upgrade_is_tried_so_often() -> None:
    calls: list[int] = []

    def run() -> None:
        calls.append(1)
        raise DBAPIError("ALTER", {}, _Locked())

    with pytest.raises(UpgradeError):
        repeat_while_locked(run, 0)
    assert len(calls) == TRIES


def test_an_error_of_a_migration_is_told_at_once_and_as_it_is() -> None:
    calls: list[int] = []

    def run() -> None:
        calls.append(1)
        raise DBAPIError("ALTER", {}, ValueError("no such thing"))

    with pytest.raises(UpgradeError, match="no such thing"):
        repeat_while_locked(run, 0)
    assert len(calls) == 1
