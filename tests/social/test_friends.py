"""The lists of friends and of likers, and the end of a match."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete

from swiper.extensions import db
from swiper.ids import new_id
from swiper.profiles.accounts import delete_account, set_status
from swiper.profiles.models import Status, Upload, UploadKind
from swiper.social.friends import halves_of_matches, repair_match
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


def test_liked_me_shows_likers_newest_first_with_the_own_answer(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    man, women = people.add(vip=3), [people.woman(vip=1) for _ in range(4)]
    for woman, kind in zip(women, ("like", "superlike", "like", "dislike"), strict=True):
        woman.swipe(kind, man)
        clock.advance(seconds=1)
    man.like(women[0])
    man.dislike(women[1])
    page = page_of(man, "liked_me")
    assert page["total"] == 3
    shown = [(int(item["id"]), item["is_superlike"], item["answer"], item["liked_at"]) for item in page["items"]]
    assert shown == [
        (women[2].id, False, None, "2026-03-10T04:00:02+00:00"),
        (women[1].id, True, "dislike", "2026-03-10T04:00:01+00:00"),
        (women[0].id, False, "like", "2026-03-10T04:00:00+00:00"),
    ]
    assert set(page["items"][0]) == CARD | {"liked_at", "is_superlike", "answer"}
    assert ids(page_of(man, "liked_me", page=2, per_page=2)) == [women[0].id]


@pytest.mark.parametrize("is_ended_by_her", [True, False])
def test_whoever_was_unfriended_is_no_liker_any_more(is_ended_by_her: bool, people: People) -> None:
    man, women = people.add(vip=3), [people.woman() for _ in range(4)]
    for woman in women:
        woman.like(man)
    for woman in women[:3]:
        assert man.like(woman).json["data"] == {"is_matched": True}
    for woman in women[:2]:
        one, other = (woman, man) if is_ended_by_her else (man, woman)
        assert one.post("/api/social/unfriend", sid=str(other.id)).status_code == 200
    page = page_of(man, "liked_me")
    assert (set(ids(page)), page["total"]) == ({women[2].id, women[3].id}, 2)
    second = page_of(man, "liked_me", page=2, per_page=1)
    assert (len(second["items"]), second["pages"]) == (1, 2)


def test_an_ended_match_hides_the_like_from_either_side_of_the_pair(people: People) -> None:
    """Whoever has the lower id stands first in the pair."""
    older, man, younger = people.woman(vip=3), people.add(vip=3), people.woman(vip=3)
    for woman in (older, younger):
        match(man, woman)
        assert ids(page_of(woman, "liked_me")) == [man.id]
        man.post("/api/social/unfriend", sid=str(woman.id))
        assert page_of(woman, "liked_me")["total"] == 0
    assert page_of(man, "liked_me")["total"] == 0


def test_nobody_unfriends_themself(people: People) -> None:
    man = people.add()
    answer = man.post("/api/social/unfriend", sid=str(man.id))
    assert (answer.status_code, answer.json["code"]) == (404, 1009)


def test_likers_of_others_are_not_shown(people: People) -> None:
    man, other, woman = people.add(vip=3), people.add(), people.woman()
    woman.like(other)
    assert page_of(man, "liked_me")["total"] == 0


@pytest.mark.parametrize("vip", [0, 1, 2])
def test_liked_me_needs_the_permission(vip: int, people: People) -> None:
    answer = people.add(vip=vip).get("/api/social/liked_me")
    assert (answer.status_code, answer.json["code"]) == (403, 1004)


def test_everyone_learns_how_many_wait_for_their_answer_and_nothing_else(people: People, app: Flask) -> None:
    man, women = people.add(), [people.woman() for _ in range(5)]
    for woman in women[:4]:
        woman.like(man)
    women[4].dislike(man)
    man.dislike(women[0])
    man.like(women[1])
    with app.app_context():
        set_status(women[2].id, Status.SUSPENDED)
        db.session.remove()
    assert man.get("/api/social/liked_me/count").json["data"] == {"waiting": 1, "has_more": False}
    assert women[4].get("/api/social/liked_me/count").json["data"] == {"waiting": 0, "has_more": False}


def test_who_no_longer_fits_is_not_counted(people: People) -> None:
    man = people.add(vip=3)
    women = [people.woman(birthday=date(1990 + number, 1, 1)) for number in range(4)]
    for woman in women:
        woman.like(man)

    def waiting() -> int:
        count: int = man.get("/api/social/liked_me/count").json["data"]["waiting"]
        assert count == len([uid for uid in man.deck() if uid in {woman.id for woman in women}])
        return count

    assert waiting() == 4
    women[0].post("/api/user/profile/modify", location="北京")
    assert waiting() == 3
    women[1].post("/api/user/profile/modify", dating_sex="female")
    assert waiting() == 2
    man.post("/api/user/profile/modify", max_dating_age=age_between(women[2], women[3]))
    assert waiting() == 1
    man.post("/api/user/profile/modify", dating_sex="male")
    assert waiting() == 0
    assert people.add(is_complete=False).get("/api/social/liked_me/count").json["data"]["waiting"] == 0


def age_between(older: Person, younger: Person) -> int:
    """An age that the younger one has and the older one is above."""
    ages = [int(one.get("/api/user/profile").json["data"]["age"]) for one in (older, younger)]
    assert ages[0] > ages[1]
    return ages[1]


def test_the_count_of_likers_ends_where_it_says_so(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swiper.social.friends.COUNT_AT_MOST", 2)
    man = people.add()
    for expected in (
        {"waiting": 1, "has_more": False},
        {"waiting": 2, "has_more": False},
        {"waiting": 2, "has_more": True},
    ):
        people.woman().like(man)
        assert man.get("/api/social/liked_me/count").json["data"] == expected


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
        assert [repair_match(*half) for half in halves_of_matches()] == [True]
        assert halves_of_matches() == []
    assert pairs[0][0].friends() == [pairs[0][1].id]
    assert_consistent(app)
