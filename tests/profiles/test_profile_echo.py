"""The whole profile sent back with one change: what is unchanged always passes, and is no choice."""

from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from swiper.clock import now
from swiper.extensions import db
from swiper.profiles.models import User
from swiper.profiles.profiles import drop_cached_account
from swiper.vip.models import Membership
from tests.factories import People, Person

# What a form can carry of a profile: text.
NESTED = ("vip", "photos")


def profile_of(person: Person) -> dict[str, Any]:
    data: dict[str, Any] = person.get("/api/user/profile").json["data"]
    return data


def as_text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def send(person: Person, whole: dict[str, Any], is_form: bool) -> Any:
    if not is_form:
        return person.client.post("/api/user/profile/modify", json=whole)
    form = {name: as_text(value) for name, value in whole.items() if name not in NESTED}
    return person.client.post("/api/user/profile/modify", data=form)


def store(app: Flask, model: Any, uid: int, **values: Any) -> None:
    with app.app_context():
        key = model.id if model is User else model.uid
        db.session.execute(update(model).where(key == uid).values(**values))
        db.session.commit()
        drop_cached_account(uid)
        db.session.remove()


@pytest.fixture(params=[False, True], ids=["json", "form"])
def is_form(request: pytest.FixtureRequest) -> bool:
    is_it: bool = request.param
    return is_it


@pytest.mark.parametrize("vip", [0, 3])
def test_the_whole_profile_with_one_change_is_taken(people: People, is_form: bool, vip: int) -> None:
    person = people.add(vip=vip, bio="one\ntwo")
    before = profile_of(person)
    answer = send(person, before | {"max_distance": 77}, is_form)
    assert (answer.status_code, answer.json["code"]) == (200, 0), answer.json
    assert profile_of(person) == before | {"max_distance": 77}


def test_a_newcomers_profile_with_nothing_set_is_taken(people: People, is_form: bool) -> None:
    person = people.add(is_complete=False)
    before = profile_of(person)
    assert send(person, before | {"bio": "new"}, is_form).status_code == 200
    assert profile_of(person) == before | {"bio": "new"}


def test_defaults_that_are_sent_back_are_no_choice(app: Flask, people: People, is_form: bool) -> None:
    person = people.add()
    before = profile_of(person)
    assert (before["dating_sex"], before["dating_location"]) == ("female", "上海")
    assert send(person, before | {"bio": "new"}, is_form).status_code == 200
    account = people.account(person)
    assert (account.dating_sex, account.dating_location) == (None, None)
    # Neither with the change that the default follows.
    assert send(person, profile_of(person) | {"location": "北京"}, is_form).status_code == 200
    assert profile_of(person)["dating_location"] == "北京"
    assert send(person, profile_of(person) | {"sex": "female"}, is_form).status_code == 200
    assert profile_of(person)["dating_sex"] == "male"


def test_after_vip_has_ended_everything_can_be_saved_and_the_own_city_is_shown(
    app: Flask, people: People, is_form: bool
) -> None:
    person = people.add(vip=3, dating_location="北京")
    before = profile_of(person)
    assert before["dating_location"] == "北京"
    store(app, Membership, person.id, expires_at=now() - timedelta(seconds=1))
    ended = profile_of(person)
    assert (ended["dating_location"], ended["vip"]["level"]) == ("上海", 0)
    own = {name: value for name, value in before.items() if name != "vip"}
    for sent in (ended, own):
        assert send(person, sent | {"bio": f"new {sent['dating_location']}"}, is_form).status_code == 200
    # What was chosen holds again with the next membership, and another city takes one.
    assert people.account(person).dating_location == "北京"
    assert send(person, ended | {"dating_location": "广州"}, is_form).json["code"] == 1004


def test_what_newer_rules_would_refuse_passes_unchanged(app: Flask, people: People, is_form: bool) -> None:
    person = people.add()
    store(app, User, person.id, nickname="old\u202ename", birthday=date(1901, 1, 1), bio="x" * 500)
    answer = send(person, profile_of(person) | {"vibration": False}, is_form)
    assert answer.status_code == 200, answer.json
    assert profile_of(person)["vibration"] is False
    assert profile_of(person)["age"] > 100


@pytest.mark.parametrize(
    ("field", "value"),
    [("id", "1"), ("phone", "+8613800138000"), ("age", 20), ("avatar", "/x"), ("vip", {}), ("photos", [1])],
)
def test_what_is_not_changed_here_is_refused_once_it_differs(people: People, field: str, value: Any) -> None:
    person = people.add()
    before = profile_of(person)
    answer = person.post("/api/user/profile/modify", **before | {field: value, "bio": "new"})
    assert (answer.status_code, answer.json["code"]) == (422, 1002)
    assert answer.json["errors"] == {field: ["Unknown field."]}
    assert profile_of(person) == before


@pytest.mark.parametrize(
    "wrong", [{"min_distance": True}, {"vibration": 1}, {"min_distance": 1.0}, {"min_distance": "1"}]
)
def test_a_value_of_another_type_is_not_the_same(people: People, wrong: dict[str, Any]) -> None:
    assert people.add().post("/api/user/profile/modify", **wrong).json["code"] == 1002


def test_a_form_can_say_none(people: People) -> None:
    person = people.add(vip=3, dating_sex="any", dating_location="北京")
    answer = person.client.post("/api/user/profile/modify", data={"dating_sex": "", "dating_location": ""})
    assert answer.status_code == 200
    assert (answer.json["data"]["dating_sex"], answer.json["data"]["dating_location"]) == ("female", "上海")
    account = people.account(person)
    assert (account.dating_sex, account.dating_location) == (None, None)
    # Where nothing is no value, it is none in a form either.
    for field in ("sex", "birthday", "location", "nickname", "min_distance", "vibration"):
        assert person.client.post("/api/user/profile/modify", data={field: ""}).json["code"] == 1002, field


def test_a_field_that_stands_twice_is_refused_also_when_it_is_unchanged(people: People) -> None:
    person = people.add()
    for body in (
        {"data": "bio=&bio=new", "content_type": "application/x-www-form-urlencoded"},
        {"data": '{"bio": "", "bio": "new"}', "content_type": "application/json"},
    ):
        answer = person.client.post("/api/user/profile/modify", **body)
        assert answer.json["errors"] == {"bio": ["Invalid input type."]}
    assert person.client.post("/api/user/profile/modify", json=[]).status_code == 422
    assert profile_of(person)["bio"] == ""
