"""The lists of friends and of likers, and the end of a match."""

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete

from swiper.extensions import db
from swiper.ids import new_id
from swiper.profiles.accounts import delete_account, set_status
from swiper.profiles.models import Status, Upload, UploadKind
from swiper.social.friends import matches_to_repair, repair_match
from swiper.social.models import Friend
from tests.factories import Clock, People, Person
from tests.profiles.test_profiles import CARD
from tests.social.test_races import assert_consistent

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)


def match(one: Person, other: Person) -> None:
    one.like(other)
    assert other.like(one).json["data"] == {"is_matched": True}


def page_of(person: Person, path: str, **query: Any) -> dict[str, Any]:
    data: dict[str, Any] = person.get(f"/api/social/{path}", **query).json["data"]
    return data


def ids(page: dict[str, Any]) -> list[int]:
    return [int(item["id"]) for item in page["items"]]


def test_friends_come_in_pages_newest_first(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOON)
    man, women = people.add(), [people.woman() for _ in range(5)]
    for woman in women:
        match(man, woman)
        clock.advance(seconds=1)
    newest = [woman.id for woman in reversed(women)]
    pages = [page_of(man, "friends", page=number, per_page=2) for number in (1, 2, 3, 4)]
    assert [ids(page) for page in pages] == [newest[:2], newest[2:4], newest[4:], []]
    rest = [{name: value for name, value in page.items() if name != "items"} for page in pages]
    assert rest == [
        {"total": 5, "page": 1, "pages": 3, "has_prev": False, "has_next": True, "prev_num": None, "next_num": 2},
        {"total": 5, "page": 2, "pages": 3, "has_prev": True, "has_next": True, "prev_num": 1, "next_num": 3},
        {"total": 5, "page": 3, "pages": 3, "has_prev": True, "has_next": False, "prev_num": 2, "next_num": None},
        {"total": 5, "page": 4, "pages": 3, "has_prev": True, "has_next": False, "prev_num": 3, "next_num": None},
    ]
    assert pages[0]["items"][0]["matched_at"] == "2026-03-10T04:00:04+00:00"
    assert set(pages[0]["items"][0]) == CARD | {"matched_at"}


def test_nobody_is_an_empty_page(people: People) -> None:
    assert page_of(people.add(), "friends") == {
        "items": [],
        "total": 0,
        "page": 1,
        "pages": 0,
        "has_prev": False,
        "has_next": False,
        "prev_num": None,
        "next_num": None,
    }


@pytest.mark.parametrize("query", [{"page": 0}, {"page": "x"}, {"per_page": 0}, {"per_page": 101}, {"page": 100_001}])
@pytest.mark.parametrize("path", ["friends", "liked_me"])
def test_a_page_out_of_bounds_is_a_parameter_error(path: str, query: dict[str, Any], people: People) -> None:
    answer = people.add(vip=3).get(f"/api/social/{path}", **query)
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    assert list(answer.json["errors"]) == list(query)


def test_unfriend_ends_the_match_for_both_and_for_good(people: People, app: Flask) -> None:
    man, woman = people.add(), people.woman()
    match(man, woman)
    assert woman.post("/api/social/unfriend", sid=str(man.id)).json == {"code": 0, "data": {}}
    assert (man.friends(), woman.friends()) == ([], [])
    assert (man.deck(), woman.deck()) == ([], [])
    assert man.like(woman).json["data"] == {"is_matched": False}
    assert man.dislike(woman).json["code"] == 1008
    assert_consistent(app, ended={(man.id, woman.id)})


def test_unfriend_sent_again_is_harmless(people: People) -> None:
    man, woman = people.add(), people.woman()
    match(man, woman)
    answers = [man.post("/api/social/unfriend", sid=str(woman.id)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize("is_liked", [True, False])
def test_only_a_match_can_be_ended(is_liked: bool, people: People, app: Flask) -> None:
    man, woman = people.add(), people.woman()
    if is_liked:
        man.like(woman)
    answer = man.post("/api/social/unfriend", sid=str(woman.id))
    assert (answer.status_code, answer.json["code"]) == (404, 1009)
    assert woman.like(man).json["data"] == {"is_matched": is_liked}
    assert_consistent(app, ended=set())


def test_unfriend_concerns_that_one_friend_alone(people: People) -> None:
    man, one, other = people.add(), people.woman(), people.woman()
    match(man, one)
    match(man, other)
    man.post("/api/social/unfriend", sid=str(one.id))
    assert man.friends() == [other.id]


def test_an_album_is_hidden_until_the_match_and_after_its_end(people: People, app: Flask) -> None:
    man, woman = people.add(), people.woman()
    with app.app_context():
        photo = Upload(uid=woman.id, id=new_id(), kind=UploadKind.PHOTO, key="photo", url="/media/photo")
        db.session.add(photo)
        db.session.commit()

    def photos() -> list[str]:
        return [shown["url"] for shown in man.get(f"/api/user/{woman.id}").json["data"]["photos"]]

    assert photos() == []
    match(man, woman)
    assert photos() == ["/media/photo"]
    assert [shown["url"] for shown in page_of(man, "friends")["items"][0]["photos"]] == ["/media/photo"]
    man.post("/api/social/unfriend", sid=str(woman.id))
    assert photos() == []


def test_a_friend_who_deletes_the_account_is_gone(people: People, app: Flask) -> None:
    man, one, other = people.add(), people.woman(), people.woman()
    match(man, one)
    match(man, other)
    with app.app_context():
        delete_account(one.id)
    page = page_of(man, "friends")
    assert (ids(page), page["total"]) == ([other.id], 1)


def test_a_suspended_friend_is_not_shown(people: People, app: Flask) -> None:
    man, woman = people.add(), people.woman()
    match(man, woman)
    with app.app_context():
        set_status(woman.id, Status.SUSPENDED)
    assert man.friends() == []
    assert man.get(f"/api/user/{woman.id}").status_code == 404
    with app.app_context():
        set_status(woman.id, Status.ACTIVE)
    assert man.friends() == [woman.id]


def test_nobody_unfriends_themself(people: People) -> None:
    man = people.add()
    answer = man.post("/api/social/unfriend", sid=str(man.id))
    assert (answer.status_code, answer.json["code"]) == (404, 1009)


def test_the_repair_gives_a_match_its_missing_friendship_once(people: People, app: Flask) -> None:
    pairs = [(people.add(), people.woman()) for _ in range(3)]
    for man, woman in pairs:
        match(man, woman)
    pairs[2][0].post("/api/social/unfriend", sid=str(pairs[2][1].id))
    with app.app_context():
        db.session.execute(delete(Friend).where(Friend.uid1 == pairs[0][0].id))
        db.session.commit()
    assert pairs[0][0].friends() == []
    with app.app_context():
        assert [repair_match(*half) for half in matches_to_repair()] == [True]
        assert matches_to_repair() == []
    assert pairs[0][0].friends() == [pairs[0][1].id]
    assert_consistent(app)
