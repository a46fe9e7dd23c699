"""The ranking and its page."""

import threading
import time
from typing import Any

import pytest
from flask import Flask

from swiper.auth.accounts import delete_account, set_status
from swiper.auth.models import Status
from swiper.extensions import cache, redis
from swiper.memo import forget
from swiper.social import ranking
from tests.factories import People, Person, at_once
from tests.social.test_races import ranking as scores


def hot(person: Person) -> list[tuple[int, int, int]]:
    """Rank, score and id of everyone on a fresh page."""
    with person.client.application.app_context():
        forget(ranking.PAGE_KEY)
    shown = person.get("/api/social/hot").json["data"]
    return [(place["rank"], place["score"], int(place["user"]["id"])) for place in shown]


def test_swipes_give_and_take_points(people: People) -> None:
    men, women = [people.add(vip=1) for _ in range(3)], [people.woman() for _ in range(3)]
    men[0].like(women[0])
    men[1].superlike(women[0])
    men[2].dislike(women[0])
    men[0].superlike(women[1])
    men[0].dislike(women[2])
    assert hot(men[0]) == [(1, 7, women[0].id), (2, 7, women[1].id), (3, -5, women[2].id)] or hot(men[0]) == [
        (1, 7, women[1].id),
        (2, 7, women[0].id),
        (3, -5, women[2].id),
    ]


def test_the_ranking_rebuilt_from_the_database_equals_the_one_that_followed_the_swipes(
    people: People, app: Flask
) -> None:
    men, women = [people.add(vip=2) for _ in range(3)], [people.woman(vip=2) for _ in range(4)]
    for number, man in enumerate(men):
        for other, woman in enumerate(women):
            man.swipe(("like", "superlike", "dislike", "like")[(number + other) % 4], woman)
        man.post("/api/social/rewind")
    with app.app_context():
        followed = scores()
        assert len(followed) >= 3
        redis.client.zadd(ranking.KEY, {"1": 1000})
        ranking.rebuild_ranking()
        assert scores() == followed


def test_a_rebuild_without_swipes_leaves_an_empty_ranking(app: Flask) -> None:
    with app.app_context():
        redis.client.zadd(ranking.KEY, {"1": 5})
        assert ranking.rebuild_ranking() == 0
        assert redis.client.exists(ranking.KEY) == 0


def test_the_page_shows_the_first_fifty(people: People, app: Flask) -> None:
    viewer = people.add()
    ids = [people.woman(is_complete=False).id for _ in range(53)]
    with app.app_context():
        redis.client.zadd(ranking.KEY, {str(uid): place for place, uid in enumerate(ids)})
    assert hot(viewer) == [(53 - place, place, ids[place]) for place in range(52, 2, -1)]


def test_the_suspended_and_the_deleted_leave_their_places_to_the_next(people: People, app: Flask) -> None:
    man, women = people.add(), [people.woman() for _ in range(4)]
    for woman in women:
        man.like(woman)
    with app.app_context():
        set_status(women[0].id, Status.SUSPENDED)
        delete_account(women[1].id)
    shown = hot(man)
    assert {uid for _, _, uid in shown} == {women[2].id, women[3].id}
    assert [rank for rank, _, _ in shown] == [1, 2]
    with app.app_context():
        assert ranking.rebuild_ranking() == 2


def test_the_page_is_cached_and_answers_304_to_whoever_has_it(people: People, app: Flask) -> None:
    man, woman = people.add(), people.woman()
    first = man.get("/api/social/hot")
    man.like(woman)
    again = woman.get("/api/social/hot")
    assert (first.status_code, again.data) == (200, first.data)
    assert first.headers["ETag"] == again.headers["ETag"]
    assert "private" in first.headers["Cache-Control"]
    known = man.client.get("/api/social/hot", headers={"If-None-Match": first.headers["ETag"]})
    assert (known.status_code, known.data) == (304, b"")
    with app.app_context():
        forget(ranking.PAGE_KEY)
    fresh = man.client.get("/api/social/hot", headers={"If-None-Match": first.headers["ETag"]})
    assert fresh.status_code == 200
    assert fresh.headers["ETag"] != first.headers["ETag"]


def test_the_page_does_not_carry_one_visitors_cookie_to_another(people: People) -> None:
    man, woman = people.add(), people.woman()
    assert "Set-Cookie" not in man.get("/api/social/hot").headers
    assert "Set-Cookie" not in woman.get("/api/social/hot").headers


def test_a_deleted_account_is_off_the_cached_page_at_once(people: People, app: Flask) -> None:
    man, woman = people.add(), people.woman()
    man.like(woman)
    assert len(man.get("/api/social/hot").json["data"]) == 1
    assert woman.client.delete("/api/user/account").status_code == 200
    assert man.get("/api/social/hot").json["data"] == []


def test_a_stranger_does_not_get_the_cached_page(people: People, app: Flask) -> None:
    assert people.add().get("/api/social/hot").status_code == 200
    assert app.test_client().get("/api/social/hot").status_code == 401


def test_a_cold_page_under_twenty_requests_is_rendered_by_one_of_them(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitors, rendered, real = [people.add() for _ in range(20)], [], ranking.top_people

    def slowly() -> list[dict[str, Any]]:
        rendered.append(threading.get_ident())
        time.sleep(0.2)
        return real()

    monkeypatch.setattr(ranking, "top_people", slowly)
    for visitor in visitors:
        visitor.get("/api/vip/me")
    answers = at_once([lambda visitor=visitor: visitor.get("/api/social/hot") for visitor in visitors])  # type: ignore[misc]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.data for answer in answers}) == 1
    assert len(set(rendered)) == 1
    # The second time is the check that nothing changed while the page was stored.
    assert len(rendered) <= 2


def test_an_error_is_not_cached_and_does_not_block_the_page(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    man = people.add()

    def fail() -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(ranking, "top_people", fail)
        assert man.get("/api/social/hot").status_code == 500
    before = time.monotonic()
    assert man.get("/api/social/hot").status_code == 200
    assert time.monotonic() - before < 1, "the failed rendering has kept the lock"
    with app.app_context():
        assert cache.get(ranking.PAGE_KEY) is not None
