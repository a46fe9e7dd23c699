"""Suspending people, until a time or for good, and admitting them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient

from swiper.admin import changes
from swiper.clock import now
from swiper.extensions import db
from swiper.profiles.models import Status, Suspension, User
from swiper.profiles.suspensions import ended_suspensions, lift_if_ended, resume
from swiper.profiles.tasks import lift_suspensions
from tests.admin.conftest import AdminClient, actions
from tests.factories import Clock, People, Person


def test_a_suspension_ends_all_access_at_once_and_hides_the_person(people: People, admin: AdminClient) -> None:
    person, viewer = people.add(), people.woman()
    assert viewer.deck() == [person.id, admin.id] or viewer.deck() == [admin.id, person.id]
    second = people.client_of(person.id)
    page = admin.change(f"/admin/people/{person.id}/suspend", reason="spam")
    assert "The account is suspended." in page
    assert "for good" in page
    for client in (person.client, second):
        assert client.get("/api/user/profile").status_code == 401
    assert people.client_of(person.id).get("/api/user/profile").json["code"] == 1010
    assert viewer.deck() == [admin.id]
    page = admin.change(f"/admin/people/{person.id}/resume")
    assert "The account is active." in page
    assert people.client_of(person.id).get("/api/user/profile").status_code == 200
    assert set(viewer.deck()) == {person.id, admin.id}


def local(moment: datetime) -> str:
    """As the form's input writes it."""
    return moment.astimezone(ZoneInfo("Asia/Shanghai")).strftime("%Y-%m-%dT%H:%M")


def test_a_suspension_until_a_moment_is_lifted_after_it(
    app: Flask, people: People, admin: AdminClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, datetime(2026, 3, 10, 4, tzinfo=UTC))
    person, forever = people.add(), people.add()
    admin.change(
        f"/admin/people/{person.id}/suspend", reason="cool down", until=local(clock.moment + timedelta(hours=2))
    )
    admin.change(f"/admin/people/{forever.id}/suspend", reason="for good")
    for hours, code in ((1, 1010), (2, 0)):
        clock.advance(hours=hours)
        with app.app_context():
            lift_suspensions()
            db.session.remove()
        assert people.client_of(person.id).get("/api/user/profile").json["code"] == code
        assert people.client_of(forever.id).get("/api/user/profile").json["code"] == 1010
    with app.app_context():
        assert db.session.get(Suspension, person.id) is None


def test_a_suspension_that_was_made_longer_meanwhile_is_not_lifted(
    app: Flask, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, datetime(2026, 3, 10, 4, tzinfo=UTC))
    person = people.add()
    with app.app_context():
        changes.suspend(None, person.id, "", now() + timedelta(hours=1))
        clock.advance(hours=2)
        assert ended_suspensions() == [person.id]
        changes.suspend(None, person.id, "worse than we thought", None)
        assert not lift_if_ended(person.id)
        assert db.session.get_one(User, person.id).status is Status.SUSPENDED
        resume(person.id)
        assert not lift_if_ended(person.id)
        db.session.remove()


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        ({}, "reason"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"reason": "x", "until": "2020-01-01T00:00"}, "The end must be in the future."),
        ({"reason": "x", "until": "tomorrow"}, "Not a valid date and time."),
        ({"reason": "x", "until": "0001-01-01T00:00"}, "Not a valid date and time."),
        ({"reason": "x", "until": "2030-01-01T00:00+00:00"}, "Not a valid date and time."),
        ({"reason": "x", "more": "y"}, "Unknown field."),
    ],
)
def test_a_wrong_form_is_told_in_words_and_changes_nothing(
    app: Flask, people: People, admin: AdminClient, form: dict[str, str], complaint: str
) -> None:
    person = people.add()
    answer = admin.post(f"/admin/people/{person.id}/suspend", **form)
    assert answer.status_code == 422
    assert complaint in answer.text
    assert person.get("/api/user/profile").status_code == 200
    assert actions(app) == []


def test_operators_cannot_suspend_themselves_but_each_other(add_operator: Callable[..., AdminClient]) -> None:
    one, other = add_operator(), add_operator()
    assert one.post(f"/admin/people/{one.id}/suspend", reason="x").status_code == 422
    assert "suspend yourself" in one.post(f"/admin/people/{one.id}/suspend", reason="x").text
    one.change(f"/admin/people/{other.id}/suspend", reason="x")
    assert other.get("/admin").status_code == 302


def test_nobody_is_suspended_who_is_not_there(app: Flask, admin: AdminClient) -> None:
    for path in ("suspend", "resume", "phone"):
        assert (
            admin.post(f"/admin/people/{'9' * 18}/{path}", **({"reason": "x"} if path == "suspend" else {})).status_code
            == 404
        )
    assert actions(app) == []


def test_a_person_s_own_view_does_not_tell_the_reason(people: People, admin: AdminClient) -> None:
    person: Person = people.add()
    admin.change(f"/admin/people/{person.id}/suspend", reason="internal note")
    client: FlaskClient = people.client_of(person.id)
    assert "internal note" not in client.get("/api/user/profile").text
