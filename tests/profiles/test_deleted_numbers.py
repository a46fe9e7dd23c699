"""To delete and come back resets nothing that a number keeps; everything else is forgotten."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import func, select

from swiper.auth.login import find_or_create
from swiper.extensions import db
from swiper.profiles.accounts import delete_account
from swiper.profiles.deleted_numbers import purge
from swiper.profiles.models import DeletedNumber, Status, User
from swiper.profiles.queries import profile_changes
from swiper.profiles.suspensions import suspend
from swiper.social import ended_matches
from swiper.social.models import ENDED, EndedMatch, Pair, Swipe
from swiper.social.tasks import purge_deleted_numbers
from tests.factories import Clock, People, Person, at_once
from tests.rotation import rotation_of

NOON = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)


def delete_it(app: Flask, person: Person) -> None:
    with app.app_context():
        delete_account(person.id)
        db.session.remove()


def come_back(app: Flask, people: People, person: Person, **profile: Any) -> Person:
    """A new account of the same number, with a session."""
    with app.app_context():
        uid = find_or_create(person.phone).id
        db.session.remove()
    assert uid != person.id
    back = Person(uid, person.phone, people.client_of(uid))
    if profile:
        answer = back.post("/api/user/profile/modify", **profile)
        assert answer.status_code == 200, answer.json
    return back


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


WHOLE = {"sex": "male", "birthday": "1995-05-20", "location": "上海"}


def test_quotas_come_back(app: Flask, people: People) -> None:
    app.config["LIKES_PER_DAY"], former = 2, app.config["LIKES_PER_DAY"]
    try:
        person, women = people.add(), [people.woman() for _ in range(3)]
        assert [person.like(woman).json["code"] for woman in women] == [0, 0, 1006]
        for _ in range(2):
            delete_it(app, person)
            person = come_back(app, people, person, **WHOLE)
            assert person.like(women[2]).json["code"] == 1006
    finally:
        app.config["LIKES_PER_DAY"] = former


def test_ended_matches_come_back_for_both_and_nothing_else_does(app: Flask, people: People) -> None:
    person, ended, kept = people.add(), people.woman(), people.woman()
    for woman in (ended, kept):
        woman.like(person)
        assert person.like(woman).json["data"]["is_matched"]
    other = people.woman()
    assert ended.like(people.add()).status_code == 200
    assert person.post("/api/social/unfriend", sid=str(ended.id)).status_code == 200
    for _ in range(2):
        delete_it(app, person)
        person = come_back(app, people, person, **WHOLE)
        assert ended.id not in person.deck()
        assert set(person.deck()) == {kept.id, other.id}
        assert person.id not in ended.deck()
        assert person.id in kept.deck()
        # Neither by liking each other again.
        assert ended.like(person).json["data"]["is_matched"] is False
        assert person.like(ended).json["data"]["is_matched"] is False
        assert person.friends() == ended.friends() == []


def test_a_returner_does_not_stand_before_the_others_last_swipe(app: Flask, people: People) -> None:
    person, woman, man = people.add(), people.woman(vip=2), people.add()
    woman.like(person)
    person.like(woman)
    woman.post("/api/social/unfriend", sid=str(person.id))
    woman.like(man)
    delete_it(app, person)
    come_back(app, people, person)
    assert woman.post("/api/social/rewind").json["data"] == {"sid": str(man.id)}


def test_thousands_of_ended_matches_come_back(app: Flask, people: People) -> None:
    person, women = people.add(), [people.woman(is_complete=False) for _ in range(8)]
    with app.app_context():
        for number in range(1_200):
            other = women[number % 8].id if number < 8 else 5_000 + number
            low, high = sorted((person.id, other))
            db.session.add(Pair(uid1=low, uid2=high, mask=31))
        db.session.commit()
        db.session.remove()
    delete_it(app, person)
    assert count(app, EndedMatch) == 1_200
    back = come_back(app, people, person)
    with app.app_context():
        # Those who are gone themselves leave no rows.
        rows = db.session.scalars(select(Pair)).all()
        assert {uid for pair in rows for uid in (pair.uid1, pair.uid2)} == {back.id, *(one.id for one in women)}
        assert all(pair.mask & ENDED for pair in rows)
        assert db.session.scalar(select(func.count()).select_from(Swipe)) == 16


def test_the_other_ones_deletion_leaves_nothing(app: Flask, people: People) -> None:
    person, woman = people.add(), people.woman()
    woman.like(person)
    person.like(woman)
    person.post("/api/social/unfriend", sid=str(woman.id))
    delete_it(app, person)
    delete_it(app, woman)
    assert count(app, EndedMatch) == 0
    come_back(app, people, person)
    assert count(app, Pair) == count(app, Swipe) == 0


def test_counted_changes_come_back_and_another_first_value_is_one(app: Flask, people: People) -> None:
    person = people.add()
    assert person.post("/api/user/profile/modify", location="北京", birthday="1990-01-01").status_code == 200
    delete_it(app, person)
    back = come_back(app, people, person, location="广州")
    assert back.post("/api/user/profile/modify", location="深圳").json["code"] == 1006
    assert back.post("/api/user/profile/modify", birthday="1991-01-01").status_code == 200
    assert back.post("/api/user/profile/modify", birthday="1992-01-01").json["code"] == 1002
    # Another deletion, without having said anything, forgets none of it.
    delete_it(app, back)
    empty = come_back(app, people, back)
    delete_it(app, empty)
    again = come_back(app, people, empty)
    assert again.post("/api/user/profile/modify", location="西安").json["code"] == 1006
    assert again.post("/api/user/profile/modify", location="广州").status_code == 200


def test_an_attacker_who_comes_back_with_another_sex_learns_nothing(app: Flask, people: People) -> None:
    targets = [people.woman(dating_sex=wish) for wish in ("male", "female", "any")]
    attacker = people.add()
    assert set(attacker.deck()) == {targets[0].id, targets[2].id}
    delete_it(app, attacker)
    # Between them an account that says nothing.
    delete_it(app, come_back(app, people, attacker))
    back = come_back(app, people, attacker, **WHOLE | {"sex": "female", "dating_sex": "any"})
    assert back.deck() == []
    assert back.post("/api/user/profile/modify", sex="male").json["code"] == 1002
    delete_it(app, back)
    again = come_back(app, people, back, **WHOLE | {"sex": "female", "dating_sex": "any"})
    assert again.deck() == []
    newcomer = people.woman(dating_sex="female")
    assert again.deck() == [newcomer.id]


def test_an_honest_returner_meets_everybody(app: Flask, people: People) -> None:
    woman, person = people.woman(), people.add()
    delete_it(app, person)
    assert come_back(app, people, person, **WHOLE).deck() == [woman.id]


def test_after_its_days_a_number_is_forgotten(app: Flask, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOON)
    person, woman = people.add(), people.woman()
    woman.like(person)
    person.like(woman)
    person.post("/api/user/profile/modify", location="北京", sex="female")
    person.post("/api/social/unfriend", sid=str(woman.id))
    with app.app_context():
        suspend(person.id, "spam", None)
        db.session.remove()
    delete_it(app, person)
    clock.advance(days=30, seconds=-1)
    with app.app_context():
        purge_deleted_numbers()
    assert (count(app, DeletedNumber), count(app, EndedMatch)) == (1, 1)
    clock.advance(seconds=2)
    # Also before the purge has come by.
    back = come_back(app, people, person, **WHOLE)
    assert people.account(back).status is Status.ACTIVE
    assert people.account(back).deck_from is None
    assert count(app, Pair) == 0
    with app.app_context():
        assert (ended_matches.purge(), purge()) == (1, 1)
    assert (count(app, DeletedNumber), count(app, EndedMatch)) == (0, 0)


def test_what_is_kept_names_nobody(app: Flask, people: People) -> None:
    person = people.add(bio="my words")
    delete_it(app, person)
    with app.app_context():
        row = db.session.scalars(select(DeletedNumber)).one()
        text = " ".join(str(getattr(row, column.key)) for column in DeletedNumber.__table__.columns)
    for secret in (person.phone, person.phone[3:], str(person.id), "male", "上海", "1995-", "199505", "my words"):
        assert secret not in text
        assert secret.encode("unicode_escape").decode() not in text


@pytest.mark.parametrize("days", [None, 3])
def test_a_suspension_comes_back_as_it_was(
    app: Flask, people: People, monkeypatch: pytest.MonkeyPatch, days: int | None
) -> None:
    clock = Clock(monkeypatch, NOON)
    person, woman = people.add(), people.woman()
    until = NOON + timedelta(days=days) if days else None
    with app.app_context():
        suspend(person.id, "spam", until)
        db.session.remove()
    delete_it(app, person)
    clock.advance(days=1)
    back = come_back(app, people, person)
    answer = back.get("/api/user/profile")
    assert (answer.status_code, answer.json["code"]) == (403, 1010)
    assert answer.json["data"] == {"until": until.isoformat() if until else None}
    assert woman.like(back).json["code"] == 1009
    delete_it(app, back)
    clock.advance(days=4)
    again = come_back(app, people, back)
    assert again.get("/api/user/profile").json["code"] == (0 if days else 1010)


def test_an_operator_lifts_the_suspension_of_a_number_without_an_account(
    app: Flask, people: People, runner: FlaskCliRunner
) -> None:
    person = people.add()
    assert runner.invoke(args=["suspend", person.phone]).exit_code == 0
    delete_it(app, person)
    assert runner.invoke(args=["unsuspend", person.phone]).output == "The account is active.\n"
    assert runner.invoke(args=["unsuspend", person.phone]).exit_code == 1
    assert come_back(app, people, person).get("/api/user/profile").status_code == 200


def test_suspended_people_log_in_to_export_and_delete_and_for_nothing_else(app: Flask, people: People) -> None:
    person = people.log_in("13800138000")
    with app.app_context():
        suspend(person.id, "spam", None)
        db.session.remove()
    for bearer in (True, False):
        client = app.test_client()
        suspended = Person(person.id, person.phone, client)
        given = {"phonenum": person.phone, "vcode": suspended.fresh_code(), "bearer": bearer}
        answer = client.post("/api/user/login", json=given)
        assert (answer.status_code, answer.json["code"]) == (403, 1010)
        assert answer.json["data"] | {"session": None} == {"until": None, "session": None}
        assert ("session" in answer.json["data"]) is bearer
    refused = [
        client.get("/api/user/profile"),
        client.post("/api/user/profile/modify", json={"bio": "x"}),
        client.get("/api/social/users"),
        client.get("/api/vip/me"),
        client.get("/api/social/liked_me/count"),
    ]
    assert [one.json["code"] for one in refused] == [1010] * len(refused)
    assert client.get("/api/user/sessions").status_code == 200
    assert suspended.export().status_code == 200
    assert suspended.delete_account().status_code == 200
    back = come_back(app, people, person)
    assert back.get("/api/user/profile").json["code"] == 1010


def test_first_logins_at_once_after_a_deletion_make_one_account_with_what_is_kept(app: Flask, people: People) -> None:
    person = people.add()
    person.like(people.woman())
    delete_it(app, person)

    def log_in() -> int:
        with app.app_context():
            uid = find_or_create(person.phone).id
            db.session.remove()
            return uid

    assert len(set(at_once([functools.partial(log_in) for _ in range(4)]))) == 1
    assert count(app, User) == 2
    back = log_in()
    me = Person(back, person.phone, people.client_of(back))
    assert me.get("/api/vip/me").json["data"]["quotas"]["like"]["used"] == 1


def test_what_a_number_keeps_outlasts_a_change_of_the_key(
    app: Flask, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate = rotation_of(app, monkeypatch)
    monkeypatch.setitem(app.config, "LIKES_PER_DAY", 2)
    person, ended, other = people.add(), people.woman(), people.woman()
    ended.like(person)
    assert person.like(ended).json["data"]["is_matched"]
    assert person.post("/api/social/unfriend", sid=str(ended.id)).status_code == 200
    assert person.like(other).json["code"] == 0
    delete_it(app, person)
    rotate(True)
    back = come_back(app, people, person, **WHOLE)
    assert back.like(people.woman()).json["code"] == 1006
    assert ended.id not in back.deck()
    # The row of the former key is replaced when the account is deleted again.
    delete_it(app, back)
    assert count(app, DeletedNumber) == count(app, EndedMatch) == 1
    rotate(False)
    last = come_back(app, people, back, **WHOLE)
    assert last.like(other).json["code"] == 1006
    assert ended.id not in last.deck()


def test_values_of_before_a_change_of_the_key_are_compared(
    app: Flask, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = people.add()
    delete_it(app, person)
    rotation_of(app, monkeypatch)(True)
    back = come_back(app, people, person, **WHOLE)
    with app.app_context():
        assert profile_changes.list_changes(back.id) == []


def test_a_suspension_of_before_a_change_of_the_key_is_lifted(
    app: Flask, runner: FlaskCliRunner, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = people.add()
    with app.app_context():
        suspend(person.id, "", None)
    delete_it(app, person)
    rotation_of(app, monkeypatch)(True)
    assert runner.invoke(args=["unsuspend", person.phone]).exit_code == 0
    with app.app_context():
        assert find_or_create(person.phone).status is Status.ACTIVE
