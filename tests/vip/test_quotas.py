"""Daily quotas: how many, counted exactly, until midnight in Shanghai."""

import functools
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from swiper.clock import today
from swiper.db import statements
from swiper.errors import RateLimitedError
from swiper.extensions import db
from swiper.profiles.models import Sex
from swiper.social.models import Swipe, SwipeKind
from swiper.social.queries import swipes as queries
from swiper.social.swipes import swipe
from swiper.vip.levels import give_back_quota, spend_quota, vip_status_of
from swiper.vip.models import Quota, QuotaKind
from tests.factories import Clock, People, Person, at_once

# Ten in the evening in Shanghai.
EVENING = datetime(2026, 3, 10, 14, tzinfo=UTC)


def left(person: Person) -> dict[str, Any]:
    quotas: dict[str, Any] = person.get("/api/vip/me").json["data"]["quotas"]
    return quotas


def use_up(app: Flask, person: Person, kind: QuotaKind, used: int) -> None:
    """Let somebody have used some of today's quota."""
    with app.app_context():
        db.session.add(Quota(uid=person.id, kind=kind, day=today(), used=used))
        db.session.commit()


def stored(app: Flask, person: Person) -> list[tuple[str, date, int]]:
    with app.app_context():
        rows = db.session.scalars(select(Quota).where(Quota.uid == person.id).order_by(Quota.kind))
        return [(row.kind.value, row.day, row.used) for row in rows]


def test_a_day_has_fifty_likes(people: People, app: Flask) -> None:
    man, women = people.add(), [people.woman(is_complete=False) for _ in range(51)]
    answers = [man.like(woman) for woman in women]
    assert [answer.status_code for answer in answers] == [200] * 50 + [429]
    assert answers[-1].json["code"] == 1006
    assert left(man)["like"] == {"limit": 50, "used": 50, "left": 0}


@pytest.mark.parametrize("vip", [1, 2, 3])
def test_a_day_has_five_superlikes_on_every_level(vip: int, people: People) -> None:
    man, women = people.add(vip=vip), [people.woman(is_complete=False) for _ in range(6)]
    assert [man.superlike(woman).json["code"] for woman in women] == [0] * 5 + [1006]
    assert left(man)["superlike"] == {"limit": 5, "used": 5, "left": 0}
    assert left(man)["like"]["used"] == 0


@pytest.mark.parametrize("vip", [2, 3])
def test_a_day_has_three_rewinds(vip: int, people: People) -> None:
    man, woman = people.add(vip=vip), people.woman()
    codes = []
    for _ in range(4):
        man.like(woman)
        codes.append(man.post("/api/social/rewind").json["code"])
    assert codes == [0, 0, 0, 1006]


@pytest.mark.parametrize("vip", [2, 3])
def test_likes_have_no_limit_with_the_permission(vip: int, people: People, app: Flask) -> None:
    man, woman = people.add(vip=vip), people.woman()
    use_up(app, man, QuotaKind.LIKE, 5000)
    assert man.like(woman).status_code == 200
    assert left(man)["like"] == {"limit": None, "used": 5001, "left": None}


def test_dislikes_have_no_limit_and_count_nothing(people: People, app: Flask) -> None:
    man, woman = people.add(), people.woman()
    use_up(app, man, QuotaKind.LIKE, 50)
    assert man.dislike(woman).status_code == 200
    assert stored(app, man) == [("like", stored(app, man)[0][1], 50)]


def test_the_limits_are_settings(people: People, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "LIKES_PER_DAY", 1)
    monkeypatch.setitem(app.config, "SUPERLIKES_PER_DAY", 0)
    man, one, other = people.add(vip=1), people.woman(), people.woman()
    assert man.like(one).status_code == 200
    assert man.like(other).status_code == 429
    assert man.superlike(other).status_code == 429
    assert left(man)["superlike"] == {"limit": 0, "used": 0, "left": 0}


def test_parallel_likes_with_five_left_are_exactly_five(people: People, app: Flask) -> None:
    man, women = people.add(), [people.woman(is_complete=False) for _ in range(20)]
    use_up(app, man, QuotaKind.LIKE, 45)
    clients = [Person(man.id, man.phone, people.client_of(man.id)) for _ in women]
    answers = at_once([functools.partial(client.like, woman) for client, woman in zip(clients, women, strict=True)])
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 15
    with app.app_context():
        assert len(db.session.scalars(select(Swipe)).all()) == 5
    assert left(man)["like"] == {"limit": 50, "used": 50, "left": 0}


def test_the_first_likes_of_a_day_in_parallel_are_all_counted(people: People, app: Flask) -> None:
    for _ in range(4):
        man, women = people.add(is_complete=False), [people.woman(is_complete=False) for _ in range(8)]
        clients = [Person(man.id, man.phone, people.client_of(man.id)) for _ in women]
        calls = [functools.partial(client.like, woman) for client, woman in zip(clients, women, strict=True)]
        assert {answer.status_code for answer in at_once(calls)} == {200}
        assert left(man)["like"]["used"] == 8


def test_a_refused_or_repeated_swipe_costs_nothing(people: People, app: Flask) -> None:
    man, woman = people.add(vip=1), people.woman()
    man.like(woman)
    man.like(woman)
    man.superlike(woman)
    man.like(man)
    man.like(999)
    man.post("/api/social/like", sid="x")
    assert (left(man)["like"]["used"], left(man)["superlike"]["used"]) == (1, 0)


def test_a_like_that_fails_half_way_costs_nothing(people: People, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    man, woman = people.add(), people.woman()
    # The portable way stores the like last. One PostgreSQL server has one statement, which fails here at its last word.
    monkeypatch.setattr(queries, "ADD_LIKE", statements.Statement("INSERT INTO nowhere VALUES (1)"))
    failing = queries.LIKE_SINGLE_NODE.sql.replace(") SELECT pair.mask", ") SELECT (pair.mask || 'x')::int8")
    assert failing != queries.LIKE_SINGLE_NODE.sql
    monkeypatch.setattr(queries, "LIKE_SINGLE_NODE", statements.Statement(failing, int, int))
    with app.app_context(), pytest.raises(DBAPIError):
        swipe(man.id, woman.id, SwipeKind.LIKE, vip_status_of(man.id))
    assert left(man)["like"]["used"] == 0
    with app.app_context():
        assert db.session.scalars(select(Swipe)).all() == []


def test_a_used_up_quota_says_when_it_comes_back(people: People, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, EVENING)
    man, woman = people.add(), people.woman()
    use_up(app, man, QuotaKind.LIKE, 50)
    answer = man.like(woman)
    assert answer.headers["Retry-After"] == "7200"
    assert answer.json["data"] == {"reset_at": "2026-03-10T16:00:00+00:00"}
    assert man.get("/api/vip/me").json["data"]["resets_at"] == "2026-03-10T16:00:00+00:00"


def test_a_limit_of_zero_never_lets_anyone(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, EVENING)
    with app.app_context():
        for _ in range(2):
            with pytest.raises(RateLimitedError):
                spend_quota(1, QuotaKind.LIKE, 0)
            clock.advance(days=1)


def test_giving_back_concerns_that_day_alone_and_ends_at_zero(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, EVENING)

    def used() -> int:
        return db.session.scalars(select(Quota.used)).one()

    with app.app_context():
        spend_quota(1, QuotaKind.LIKE, 5)
        give_back_quota(1, QuotaKind.LIKE, today() - timedelta(days=1))
        assert used() == 1
        give_back_quota(1, QuotaKind.SUPERLIKE, today())
        give_back_quota(2, QuotaKind.LIKE, today())
        assert used() == 1
        give_back_quota(1, QuotaKind.LIKE, today())
        give_back_quota(1, QuotaKind.LIKE, today())
        assert used() == 0
        db.session.rollback()


def test_quotas_belong_to_one_user_and_one_kind(people: People) -> None:
    man, other, woman = people.add(vip=1), people.add(vip=1), people.woman()
    man.like(woman)
    assert (left(other)["like"]["used"], left(man)["superlike"]["used"]) == (0, 0)


def test_levels_that_end_take_the_free_likes_with_them(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, EVENING)
    man, woman = people.add(vip=2), people.add(sex=Sex.FEMALE)
    clock.advance(days=40)
    use_up(app, man, QuotaKind.LIKE, 50)
    assert man.like(woman).status_code == 429
