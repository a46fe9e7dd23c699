"""The operator's commands, and their entries in the log."""

from datetime import timedelta

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskCliRunner

from swiper.admin import changes
from swiper.admin.audit import list_actions
from swiper.clock import now
from swiper.extensions import db
from swiper.profiles.models import Operator, Suspension
from tests.factories import People


def run(runner: FlaskCliRunner, *args: str) -> Result:
    return runner.invoke(args=list(args))


def operators(app: Flask) -> set[int]:
    with app.app_context():
        return set(db.session.scalars(db.select(Operator.uid)))


def entries(app: Flask) -> list[tuple[int | None, str, str]]:
    with app.app_context():
        return [(entry.uid, entry.action, entry.target) for entry in reversed(list_actions(50))]


def test_the_role_is_granted_listed_and_revoked(runner: FlaskCliRunner, app: Flask, people: People) -> None:
    person = people.log_in("13800138000")
    assert run(runner, "grant-operator", "138 0013 8000").output == "The role is granted.\n"
    assert operators(app) == {person.id}
    listed = run(runner, "list-operators").output
    assert str(person.id) in listed
    assert "13800138000" not in listed
    assert "already" in run(runner, "grant-operator", "+8613800138000").output
    assert run(runner, "revoke-operator", "13800138000").output == "The role is revoked.\n"
    assert operators(app) == set()
    assert entries(app) == [(None, "grant_role", str(person.id)), (None, "revoke_role", str(person.id))]


@pytest.mark.parametrize("command", ["grant-operator", "revoke-operator"])
@pytest.mark.parametrize(
    ("phone", "complaint"), [("13900139000", "Nobody has this number"), ("call me", "Not a valid phone number.")]
)
def test_nobody_s_number_is_told_in_one_sentence(
    runner: FlaskCliRunner, app: Flask, people: People, command: str, phone: str, complaint: str
) -> None:
    people.add()
    result = run(runner, command, phone)
    assert result.exit_code == 1
    assert complaint in result.output
    assert "Traceback" not in result.output
    assert operators(app) == set()
    assert entries(app) == []


def test_taking_a_role_that_nobody_has_is_told(runner: FlaskCliRunner, people: People) -> None:
    result = run(runner, "revoke-operator", people.add().phone)
    assert (result.exit_code, result.output) == (1, "Error: This person is no operator.\n")


def test_the_older_commands_write_their_lines_too(runner: FlaskCliRunner, app: Flask, people: People) -> None:
    person = people.add()
    for command in (
        ("suspend", person.phone),
        ("unsuspend", person.phone),
        ("ban-ip", "203.0.113.9"),
        ("unban-ip", "203.0.113.9"),
        ("add-sale", "sale", "--level", "1", "--price", "1", "--stock", "1"),
    ):
        assert run(runner, *command).exit_code == 0, command
    found = entries(app)
    assert [(uid, action) for uid, action, _ in found] == [
        (None, "suspend"),
        (None, "resume"),
        (None, "ban"),
        (None, "lift_ban"),
        (None, "add_sale"),
    ]


def test_a_suspension_by_command_is_for_good(runner: FlaskCliRunner, app: Flask, people: People) -> None:
    """Also of somebody who was suspended for a while: the beat must not admit them."""
    person = people.add()
    with app.app_context():
        changes.suspend(None, person.id, "cool down", now() + timedelta(hours=1))
        db.session.remove()
    assert run(runner, "suspend", person.phone).exit_code == 0
    with app.app_context():
        assert db.session.get_one(Suspension, person.id).until is None
    assert people.client_of(person.id).get("/api/user/profile").json["code"] == 1010
