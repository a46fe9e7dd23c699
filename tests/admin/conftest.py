"""An operator with a browser, whose forms have the token of a page of the same session."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from swiper.admin.metrics_buffer import MetricsBuffer
from swiper.admin.models import OperatorAction
from swiper.admin.unlocks import unlock
from swiper.extensions import db
from swiper.profiles.operators import grant_role
from swiper.tallies import tallies
from tests.factories import People, Person, session_id_of

TOKEN = re.compile('name="form_token" value="([^"]+)"')


class AdminClient:
    """Requests of an operator."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.id = person.id
        self.client: FlaskClient = person.client

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.client.get(path, query_string=query or None)

    def read(self, path: str, **query: Any) -> str:
        """A page's text."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.text

    def token(self) -> str:
        found = TOKEN.search(self.read("/admin/people"))
        assert found
        return found[1]

    def post(self, path: str, **form: Any) -> TestResponse:
        return self.client.post(path, data=form | {"form_token": self.token()})

    def change(self, path: str, **form: Any) -> str:
        """Send a form that must be accepted; returns the text of the page that it redirects to."""
        answer = self.post(path, **form)
        assert answer.status_code == 303, answer.text
        return self.read(answer.headers["Location"])


def actions(app: Flask) -> list[tuple[str, str]]:
    """The action and the target of each entry of the log, the oldest first."""
    with app.app_context():
        rows = db.session.scalars(db.select(OperatorAction).order_by(OperatorAction.id))
        return [(row.action, row.target) for row in rows]


@pytest.fixture
def add_operator(app: Flask, people: People) -> Callable[..., AdminClient]:
    """A function that adds an operator."""

    def make(*, is_unlocked: bool = True, **profile: Any) -> AdminClient:
        person = people.add(**profile)
        with app.app_context():
            grant_role(person.id)
            if is_unlocked:
                unlock(person.id, session_id_of(person.client))
            db.session.remove()
        return AdminClient(person)

    return make


@pytest.fixture
def admin(add_operator: Callable[..., AdminClient]) -> AdminClient:
    return add_operator()


@pytest.fixture
def buffer(app: Flask) -> Iterator[MetricsBuffer]:
    """The buffer of the application, empty at first."""
    made: MetricsBuffer = app.extensions["metrics_buffer"]
    for part in made.batcher.content:
        part.clear()
    tallies.clear()
    yield made
    for part in made.batcher.content:
        part.clear()
