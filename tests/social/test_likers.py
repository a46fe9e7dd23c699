"""The list of likers, and the number of those who wait for an answer."""

from datetime import date

import pytest
from flask import Flask

from swiper.extensions import db
from swiper.profiles.accounts import set_status
from swiper.profiles.models import Status
from swiper.social import likers
from tests.factories import Clock, People, Person
from tests.profiles.test_profiles import CARD
from tests.social.test_friends import NOON, ids, match, page_of


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
    monkeypatch.setattr("swiper.social.likers.COUNT_AT_MOST", 2)
    man = people.add()
    for expected in (
        {"waiting": 1, "has_more": False},
        {"waiting": 2, "has_more": False},
        {"waiting": 2, "has_more": True},
    ):
        people.woman().like(man)
        assert man.get("/api/social/liked_me/count").json["data"] == expected


@pytest.fixture(params=[1, 2, 3, 7, 5_000])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many people are read at once."""
    for name in ("CHUNK", "FIRST_CHUNK"):
        monkeypatch.setattr(likers, name, request.param)
    monkeypatch.setattr(likers, "SPARE", 0)


@pytest.mark.usefixtures("chunk")
def test_pages_and_total_are_exact_however_many_are_read_at_once(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    man, women = people.add(vip=3), [people.woman() for _ in range(9)]
    for number, woman in enumerate(women):
        woman.like(man)
        # Three of them like at the same moment.
        clock.advance(seconds=number // 3)
    for woman in women[:4]:
        man.like(woman)
    # One who was unfriended is suspended as well.
    for woman in women[1:3]:
        man.post("/api/social/unfriend", sid=str(woman.id))
    with app.app_context():
        for woman in (women[2], women[6]):
            set_status(woman.id, Status.SUSPENDED)
        db.session.remove()
    pages = [page_of(man, "liked_me", page=number, per_page=2) for number in (1, 2, 3, 4)]
    assert [page["total"] for page in pages] == [6] * 4
    shown = [uid for page in pages for uid in ids(page)]
    assert shown == ids(page_of(man, "liked_me"))
    assert set(shown) == {woman.id for woman in women} - {women[number].id for number in (1, 2, 6)}
    moments = [item["liked_at"] for page in pages for item in page["items"]]
    assert moments == sorted(moments, reverse=True)


@pytest.mark.usefixtures("chunk")
def test_those_who_wait_are_counted_however_many_are_read_at_once(people: People, app: Flask) -> None:
    man, women = people.add(), [people.woman() for _ in range(8)]
    for woman in women:
        woman.like(man)
    man.dislike(women[3])
    women[4].post("/api/user/profile/modify", location="北京")
    assert man.get("/api/social/liked_me/count").json["data"] == {"waiting": 6, "has_more": False}
