"""Taking the last swipe back, with everything that followed from it."""

from contextvars import Context
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from swiper.extensions import db, redis
from swiper.profiles.accounts import delete_account
from swiper.social import deck, deck_session, swipes
from swiper.social.models import LikeIn, Swipe
from swiper.social.ranking import KEY
from tests.factories import Clock, People, Person
from tests.social.test_races import assert_consistent

# 11:58 in the evening in Shanghai.
LATE = datetime(2026, 3, 10, 15, 58, tzinfo=UTC)


def rewind(person: Person, sid: int | None = None) -> tuple[int, int, object]:
    """Status, code and data of a rewind."""
    body = {"sid": str(sid)} if sid else {}
    answer = person.post("/api/social/rewind", **body)
    return answer.status_code, answer.json["code"], answer.json["data"]


def quota(person: Person, kind: str) -> int:
    used: int = person.get("/api/vip/me").json["data"]["quotas"][kind]["used"]
    return used


def score(app: Flask, person: Person) -> float:
    with app.app_context():
        return redis.client.zscore(KEY, person.id) or 0  # type: ignore[return-value]


@pytest.fixture
def man(people: People) -> Person:
    return people.add(vip=2)


@pytest.fixture
def woman(people: People) -> Person:
    return people.woman(vip=2)


@pytest.mark.parametrize(("kind", "gain"), [("like", 5), ("superlike", 7), ("dislike", -5)])
def test_a_rewind_takes_the_swipe_back_with_points_queue_entry_and_quota(
    kind: str, gain: int, man: Person, woman: Person, app: Flask
) -> None:
    man.swipe(kind, woman)
    assert score(app, woman) == gain
    assert rewind(man) == (200, 0, {"sid": str(woman.id)})
    assert score(app, woman) == 0
    assert (quota(man, "like"), quota(man, "superlike"), quota(man, "rewind")) == (0, 0, 1)
    with app.app_context():
        assert db.session.scalars(select(Swipe)).all() == []
        assert db.session.scalars(select(LikeIn)).all() == []
    assert_consistent(app)


def test_a_rewind_takes_the_match_back_for_both(man: Person, woman: Person, app: Flask) -> None:
    woman.like(man)
    assert man.like(woman).json["data"]["is_matched"]
    assert rewind(man)[0] == 200
    assert (man.friends(), woman.friends()) == ([], [])
    assert_consistent(app)


def test_after_a_rewind_the_person_is_back_and_may_be_swiped_differently(
    man: Person, woman: Person, app: Flask
) -> None:
    woman.like(man)
    man.dislike(woman)
    assert man.deck() == []
    rewind(man)
    assert man.deck() == [woman.id]
    assert man.like(woman).json["data"] == {"is_matched": True}
    assert_consistent(app)


def test_swipe_after_swipe_is_taken_back_from_the_last_to_the_first(man: Person, people: People) -> None:
    women = [people.woman() for _ in range(3)]
    for woman in women:
        man.like(woman)
    assert [rewind(man)[2] for _ in women] == [{"sid": str(woman.id)} for woman in reversed(women)]


def test_there_is_nothing_to_rewind_at_first(man: Person) -> None:
    assert rewind(man) == (409, 1007, None)
    assert quota(man, "rewind") == 0


def test_a_swipe_is_rewound_for_five_minutes_and_not_longer(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, datetime(2026, 3, 10, 4, tzinfo=UTC))
    man, woman = people.add(vip=2), people.woman()
    man.like(woman)
    clock.advance(minutes=5, seconds=1)
    assert rewind(man) == (409, 1007, None)
    assert quota(man, "rewind") == 0
    clock.advance(seconds=-1)
    assert rewind(man)[0] == 200


def test_an_older_swipe_is_not_the_last_one(man: Person, woman: Person, people: People, app: Flask) -> None:
    man.like(woman)
    last = people.woman()
    man.like(last)
    answer = man.post("/api/social/rewind", sid=str(woman.id))
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    assert answer.json["errors"] == {"sid": ["This is not your last swipe."]}
    assert quota(man, "rewind") == 0
    assert rewind(man, last.id) == (200, 0, {"sid": str(last.id)})
    assert_consistent(app)


def test_a_rewind_whose_commit_was_not_confirmed_takes_back_no_second_swipe(
    man: Person, woman: Person, people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    man.dislike(woman)
    man.dislike(people.woman())
    with app.app_context():
        dialect = db.engine.dialect
    commit = dialect.do_commit

    def commit_and_lose_the_connection(connection: Any) -> None:
        monkeypatch.setattr(dialect, "do_commit", commit)
        commit(connection)
        raise OperationalError("COMMIT", {}, Exception("gone"), connection_invalidated=True)

    monkeypatch.setattr(dialect, "do_commit", commit_and_lose_the_connection)
    assert rewind(man) == (409, 1007, None)
    assert quota(man, "rewind") == 1
    with app.app_context():
        assert list(db.session.scalars(select(Swipe.sid))) == [woman.id]


def test_a_rewind_whose_commit_met_another_one_takes_back_the_swipe_before(
    man: Person, woman: Person, people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two nodes of a Galera cluster find out at the commit that both take back the same swipe."""
    man.dislike(woman)
    last = people.woman()
    man.dislike(last)
    with app.app_context():
        dialect = db.engine.dialect
    commit = dialect.do_commit

    def refuse_and_let_another_one_be_faster(connection: Any) -> None:
        monkeypatch.setattr(dialect, "do_commit", commit)
        dialect.do_rollback(connection)
        # Not within the transaction of this one.
        assert Context().run(rewind, man) == (200, 0, {"sid": str(last.id)})
        raise OperationalError("COMMIT", {}, Exception(1213, "Deadlock found"))

    monkeypatch.setattr(dialect, "do_commit", refuse_and_let_another_one_be_faster)
    assert rewind(man) == (200, 0, {"sid": str(woman.id)})
    assert quota(man, "rewind") == 2
    assert_consistent(app)


def test_a_named_rewind_is_not_for_the_swipe_before_when_another_one_was_faster(
    man: Person, woman: Person, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    man.like(woman)
    last = people.woman()
    man.like(last)

    def find_too_early(uid: int) -> int:
        found = last_swiped(uid)
        monkeypatch.setattr(swipes, "_last_target", last_swiped)
        assert rewind(man)[0] == 200
        return found

    last_swiped = swipes._last_target
    monkeypatch.setattr(swipes, "_last_target", find_too_early)
    answer = man.post("/api/social/rewind", sid=str(last.id))
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    assert man.get("/api/vip/me").json["data"]["quotas"]["like"]["used"] == 1


def test_somebody_elses_swipe_is_not_rewound(man: Person, woman: Person, app: Flask) -> None:
    woman.like(man)
    assert rewind(man)[1] == 1007
    assert_consistent(app)


@pytest.mark.parametrize("who", ["man", "woman"])
def test_an_ended_match_cannot_be_rewound(who: str, man: Person, woman: Person, app: Flask) -> None:
    woman.like(man)
    man.like(woman)
    ender, other = (man, woman) if who == "man" else (woman, man)
    assert ender.post("/api/social/unfriend", sid=str(other.id)).status_code == 200
    assert rewind(man) == (409, 1007, None)
    assert quota(man, "rewind") == 0
    assert (man.deck(), woman.deck()) == ([], [])
    assert_consistent(app)


def test_the_fourth_rewind_of_a_day_is_refused_and_changes_nothing(man: Person, woman: Person, app: Flask) -> None:
    for _ in range(3):
        man.like(woman)
        assert rewind(man)[0] == 200
    man.like(woman)
    assert rewind(man)[:2] == (429, 1006)
    assert quota(man, "like") == 1
    assert_consistent(app)


def test_a_rewind_without_the_permission_is_refused(people: People, woman: Person, app: Flask) -> None:
    man = people.add(vip=1)
    man.like(woman)
    assert rewind(man)[:2] == (403, 1004)
    assert_consistent(app)


def test_a_like_of_yesterday_is_not_given_back_to_today(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, LATE)
    man, first, second = people.add(vip=2), people.woman(), people.woman()
    man.like(first)
    clock.advance(minutes=3)
    man.like(second)
    with app.app_context():
        delete_account(second.id)
    assert quota(man, "like") == 1
    assert rewind(man)[2] == {"sid": str(first.id)}
    assert (quota(man, "like"), quota(man, "rewind")) == (1, 1)


def test_a_like_of_today_is_given_back_just_after_midnight(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, LATE)
    man, first, second = people.add(vip=2), people.woman(), people.woman()
    man.like(first)
    clock.advance(minutes=3)
    man.like(second)
    assert rewind(man)[2] == {"sid": str(second.id)}
    assert quota(man, "like") == 0


def test_a_rewind_during_a_request_for_the_deck_loses_nobody(
    man: Person, people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request has read the deck session; the rewind changes it; then the request stores its own."""
    crowd = [people.woman() for _ in range(12)]
    first = [int(user["id"]) for user in man.get("/api/social/users").json["data"]["users"]]
    man.post("/api/social/dislike", sid=str(first[0]))
    # A new deck session leaves the swiped one out.
    man.get("/api/social/users")
    replace, raced = deck_session.replace_session, []

    def replace_late(uid: int, stored: bytes | None, packed: bytes) -> bool:
        if not raced:
            raced.append(uid)
            deck_session.bring_back(None, uid=man.id, target_id=first[0])
        return replace(uid, stored, packed)

    swiped = int(man.get("/api/social/users").json["data"]["users"][0]["id"])
    man.post("/api/social/dislike", sid=str(swiped))
    with app.app_context():
        monkeypatch.setattr(deck, "replace_session", replace_late)
        man.get("/api/social/users")
        assert raced
        held = deck_session.unpack(app.extensions["redis"].get(deck_session.session_key(man.id)))
    assert held is not None
    assert first[0] in held.candidate_ids
    assert swiped not in held.candidate_ids
    assert len(crowd) == 12


def test_a_deck_session_that_changes_while_a_rewind_stores_it_keeps_both(
    man: Person, people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = [people.woman() for _ in range(8)]
    man.get("/api/social/users")
    one, other = crowd[0].id, crowd[1].id
    with app.app_context():
        held = deck_session.unpack(app.extensions["redis"].get(deck_session.session_key(man.id)))
        assert held is not None
        held.remove({one, other})
        app.extensions["redis"].set(deck_session.session_key(man.id), deck_session.pack(held))
        replace, raced = deck_session.replace_session, []

        def replace_late(uid: int, stored: bytes | None, packed: bytes) -> bool:
            if not raced:
                raced.append(uid)
                deck_session.bring_back(None, uid=man.id, target_id=other)
            return replace(uid, stored, packed)

        monkeypatch.setattr(deck_session, "replace_session", replace_late)
        deck_session.bring_back(None, uid=man.id, target_id=one)
        found = deck_session.unpack(app.extensions["redis"].get(deck_session.session_key(man.id)))
    assert found is not None
    assert {one, other} <= set(found.candidate_ids)
