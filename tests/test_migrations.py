"""Migrations run up and down on the chosen database, and the models agree with them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import flask_migrate
import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import inspect

from config.settings import ROOT
from swiper.extensions import db
from tests import services

FOLDER = str(ROOT / "migrations")


@pytest.fixture
def empty_app(make_app: Callable[..., Flask], tmp_path: Path) -> Iterator[Flask]:
    """An application on a database without tables."""
    name = os.environ.get("TEST_DATABASE")
    if not name:
        yield make_app(database_url=f"sqlite:///{tmp_path / 'empty.db'}")
        return
    server, database = services.database_url(name), f"swiper_migrations_{os.getpid()}"
    url = services.recreate_database(server, database)
    app = make_app(database_url=url.render_as_string(hide_password=False))
    yield app
    with app.app_context():
        db.engine.dispose()
    services.drop_database(server, database)


def tables() -> set[str]:
    with db.engine.connect() as connection:
        return set(inspect(connection).get_table_names()) - {"alembic_version"}


def test_migrations_go_up_and_down_and_match_the_models(empty_app: Flask) -> None:
    with empty_app.app_context():
        flask_migrate.upgrade(FOLDER)
        assert tables() == set(db.metadata.tables)
        flask_migrate.check(FOLDER)
        flask_migrate.downgrade(FOLDER, revision="base")
        assert tables() == set()
        flask_migrate.upgrade(FOLDER)
        assert tables() == set(db.metadata.tables)


def test_check_notices_a_model_without_migration(empty_app: Flask) -> None:
    with empty_app.app_context():
        flask_migrate.upgrade(FOLDER)
        flask_migrate.downgrade(FOLDER, revision="base")
        with pytest.raises(SystemExit):
            flask_migrate.check(FOLDER)


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory(FOLDER).get_heads()) == 1
