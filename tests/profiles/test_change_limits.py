"""How often city, sex and birthday may be changed: counted exactly, and by nobody but the owner or an operator."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from swiper.extensions import db
from swiper.profiles.models import ProfileChange, Sex
from swiper.profiles.profile_changes import correct_profile
from swiper.vip.memberships import grant
from tests.factories import Clock, People, Person, at_once

NOON = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)
OPERATOR_ONLY = ["This has been corrected before; only an operator can change it again."]


@pytest.fixture
def person(people: People) -> Person:
    return people.add()


def modify(person: Person, **changes: Any) -> Any:
    return person.post("/api/user/profile/modify", **changes)


def shown(person: Person, field: str) -> Any:
    return person.get("/api/user/profile").json["data"][field]


def test_the_city_changes_twice_in_thirty_days(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOON)
    assert modify(person, location="北京").status_code == 200
    clock.advance(days=10)
    assert modify(person, location="上海").status_code == 200
    answer = modify(person, location="广州", bio="new")
    assert (answer.status_code, answer.json["code"]) == (429, 1006)
    assert answer.json["data"] == {"reset_at": (NOON + timedelta(days=30)).isoformat()}
    assert answer.headers["Retry-After"] == str(20 * 86_400)
    assert (shown(person, "location"), shown(person, "bio")) == ("上海", "")
    clock.advance(days=20, seconds=-1)
    assert modify(person, location="广州").json["code"] == 1006
    clock.advance(seconds=1)
    assert modify(person, location="广州").status_code == 200
    # The one of the tenth day still counts.
    assert modify(person, location="深圳").json["code"] == 1006
    clock.advance(days=10)
    assert modify(person, location="深圳").status_code == 200


def test_the_first_city_and_the_same_city_are_no_changes(people: People) -> None:
    newcomer = people.add(is_complete=False)
    for city in ("上海", "上海", "北京", "北京", "上海", "上海"):
        assert modify(newcomer, location=city).status_code == 200
    assert modify(newcomer, location="北京").json["code"] == 1006
    assert modify(newcomer, location="上海", bio="new").status_code == 200


def test_whoever_may_look_anywhere_may_move_anywhere(app: Flask, people: People) -> None:
    traveller = people.add(vip=3)
    for city in ("北京", "广州", "深圳", "西安"):
        assert modify(traveller, location=city).status_code == 200
    lower = people.add(vip=2)
    assert [modify(lower, location=city).json["code"] for city in ("北京", "广州", "深圳")] == [0, 0, 1006]
    with app.app_context():
        grant(lower.id, 3, 1)
        db.session.remove()
    assert modify(lower, location="深圳").status_code == 200


def test_the_city_is_counted_exactly_when_many_change_it_at_once(app: Flask, person: Person) -> None:
    cities = ["北京", "广州", "深圳", "西安", "成都", "沈阳"]
    clients = [Person(person.id, person.phone, app.test_client()) for _ in cities]
    cookie = person.client.get_cookie(app.config["SESSION_COOKIE_NAME"])
    assert cookie is not None
    for one in clients:
        one.client.set_cookie(cookie.key, cookie.value)

    def move(number: int) -> int:
        code: int = modify(clients[number], location=cities[number]).json["code"]
        return code

    calls = [functools.partial(move, number) for number in range(len(cities))]
    assert sorted(at_once(calls)) == [0, 0, 1006, 1006, 1006, 1006]
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(ProfileChange)) == 2


@pytest.mark.parametrize(
    ("field", "values"),
    [("sex", ["male", "female", "male"]), ("birthday", ["1990-01-01", "1991-01-01", "1990-01-01"])],
)
def test_sex_and_birthday_have_one_correction(people: People, field: str, values: list[str]) -> None:
    person = people.add(is_complete=False)
    for value in (values[0], values[0], values[1], values[1]):
        assert modify(person, **{field: value}).status_code == 200
    answer = modify(person, **{field: values[2]}, bio="new", location="北京")
    assert (answer.status_code, answer.json["code"]) == (422, 1002)
    assert answer.json["errors"] == {field: OPERATOR_ONLY}
    assert (shown(person, field), shown(person, "bio"), shown(person, "location")) == (values[1], "", None)


def test_both_are_told_at_once_and_in_chinese(people: People) -> None:
    person = people.add()
    assert modify(person, sex="female", birthday="1990-01-01").status_code == 200
    answer = person.client.post(
        "/api/user/profile/modify",
        json={"sex": "male", "birthday": "1991-01-01"},
        headers={"Accept-Language": "zh-CN"},
    )
    assert set(answer.json["errors"]) == {"sex", "birthday"}
    assert "运营人员" in answer.json["errors"]["sex"][0]


def test_an_operator_corrects_again_and_the_person_still_cannot(app: Flask, people: People) -> None:
    person = people.add()
    modify(person, sex="female")
    with app.app_context():
        correct_profile(person.id, sex=Sex.MALE)
        db.session.remove()
    assert shown(person, "sex") == "male"
    assert modify(person, sex="female").json["errors"] == {"sex": OPERATOR_ONLY}


def test_the_counted_changes_are_told_in_the_export_and_go_with_the_account(app: Flask, person: Person) -> None:
    modify(person, location="北京", birthday="1990-01-01")
    told = person.export().json["data"]["profile_changes"]
    assert {row["field"] for row in told} == {"location", "birthday"}
    assert person.delete_account().status_code == 200
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(ProfileChange)) == 0
