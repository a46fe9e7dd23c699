"""Fixtures of the tests of pictures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.factories import People, Person
from tests.profiles.uploading import FakeStore, files_in


@pytest.fixture
def store(app: Flask) -> Iterator[FakeStore]:
    """The application with a remote store in the place of the local one."""
    former, fake = app.extensions["storage"], FakeStore(app.config)
    app.extensions["storage"] = fake
    yield fake
    app.extensions["storage"] = former


@pytest.fixture
def media(app: Flask) -> Path:
    """The media folder, empty."""
    folder: Path = app.config["MEDIA_DIR"]
    for file in files_in(folder):
        file.unlink()
    return folder


@pytest.fixture
def person(people: People) -> Person:
    return people.add()
