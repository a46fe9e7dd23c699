"""Databases that tests of the schema fill themselves."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from swiper.extensions import db
from tests import services


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
