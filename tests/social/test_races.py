"""What many people do at the same moment ends as if they had done it one after another."""

import functools
import multiprocessing
import random
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from config.settings import Settings
from swiper import create_app
from swiper.errors import AlreadySwipedError, NotFoundError, NothingToRewindError, RateLimitedError
from swiper.extensions import db, redis
from swiper.social.friends import unfriend
from swiper.social.models import (
    ENDED,
    FIRST_LIKES,
    FIRST_SWIPED,
    POINTS,
    SECOND_LIKES,
    SECOND_SWIPED,
    Friend,
    LikeIn,
    Pair,
    Swipe,
    SwipeKind,
)
from swiper.social.ranking import KEY
from swiper.social.swipes import rewind, swipe
from swiper.vip.levels import vip_status_of
from swiper.vip.models import Quota, QuotaKind
from tests.factories import People, Person, at_once

COUPLES = 60
# Two threads a couple stay below the 30 connections of the pool.
TOGETHER = 12
PROCESSES = 4


def assert_consistent(app: Flask, ended: set[tuple[int, int]] | None = None) -> None:
    """Friendships, pairs, likers, points and quotas all say what the swipes say."""
    with app.app_context():
        swipes = {(row.uid, row.sid): row.kind for row in db.session.scalars(select(Swipe))}
        likes = {key for key, kind in swipes.items() if kind.is_like}
        masks = {(row.uid1, row.uid2): row.mask for row in db.session.scalars(select(Pair))}
        over = {pair for pair, mask in masks.items() if mask & ENDED}
        assert ended is None or over == ended
        assert {(row.uid, row.sid) for row in db.session.scalars(select(LikeIn))} == likes
        supers = {(row.uid, row.sid) for row in db.session.scalars(select(LikeIn).where(LikeIn.is_super == 1))}
        assert supers == {key for key, kind in swipes.items() if kind is SwipeKind.SUPERLIKE}
        for (first, second), mask in masks.items():
            bits = FIRST_LIKES * ((first, second) in likes) | SECOND_LIKES * ((second, first) in likes)
            bits |= FIRST_SWIPED * ((first, second) in swipes) | SECOND_SWIPED * ((second, first) in swipes)
            assert mask & ~ENDED == bits
        answered = {(row.uid, row.sid) for row in db.session.scalars(select(LikeIn).where(LikeIn.is_answered == 1))}
        assert answered == {(uid, sid) for uid, sid in likes if (sid, uid) in swipes}
        mutual = {(uid, sid) for uid, sid in likes if uid < sid and (sid, uid) in likes}
        assert {(row.uid1, row.uid2) for row in db.session.scalars(select(Friend))} == mutual - over
        assert points(swipes) == ranking()
        for kind in (SwipeKind.LIKE, SwipeKind.SUPERLIKE):
            counted = {
                row.uid: row.used for row in db.session.scalars(select(Quota).where(Quota.kind == QuotaKind(kind)))
            }
            made: dict[int, int] = {}
            for (uid, _), stored in swipes.items():
                made[uid] = made.get(uid, 0) + (stored is kind)
            assert {uid: count for uid, count in made.items() if count} == {u: c for u, c in counted.items() if c}


def points(swipes: dict[tuple[int, int], SwipeKind]) -> dict[int, int]:
    """The score that the swipes make, by person; zero is left out."""
    total: dict[int, int] = {}
    for (_, sid), kind in swipes.items():
        total[sid] = total.get(sid, 0) + POINTS[kind]
    return {uid: score for uid, score in total.items() if score}


def ranking() -> dict[int, int]:
    """The scores as Redis has them."""
    scored: Any = redis.client.zrange(KEY, 0, -1, withscores=True)
    return {int(uid): int(score) for uid, score in scored if score}


def rewinds_used(app: Flask, person: Person) -> int:
    with app.app_context():
        query = select(Quota.used).where(Quota.uid == person.id, Quota.kind == QuotaKind.REWIND)
        return db.session.scalar(query) or 0


def couples(people: People, count: int, **profile: Any) -> list[tuple[Person, Person]]:
    return [(people.add(**profile), people.woman(**profile)) for _ in range(count)]


def in_rounds(calls: list[Callable[[], Any]], size: int) -> list[Any]:
    """All calls, `size` of them at once."""
    results = []
    for start in range(0, len(calls), size):
        results += at_once(calls[start : start + size])
    return results


@pytest.mark.parametrize(("his", "hers"), [("like", "like"), ("superlike", "superlike"), ("like", "superlike")])
def test_couples_who_like_each_other_at_the_same_moment_match_exactly_once(
    his: str, hers: str, people: People, app: Flask
) -> None:
    pairs = couples(people, COUPLES, vip=1, is_complete=False)
    calls = [
        call
        for man, woman in pairs
        for call in (functools.partial(man.swipe, his, woman), functools.partial(woman.swipe, hers, man))
    ]
    answers = in_rounds(calls, 2 * TOGETHER)
    assert {answer.status_code for answer in answers} == {200}
    told = [answer.json["data"]["is_matched"] for answer in answers]
    assert all(one or other for one, other in zip(told[::2], told[1::2], strict=True))
    with app.app_context():
        friendships = [(row.uid1, row.uid2) for row in db.session.scalars(select(Friend))]
    assert sorted(friendships) == sorted((man.id, woman.id) for man, woman in pairs)
    assert_consistent(app)


def _like_in_process(settings: Settings, jobs: list[tuple[int, int]], barrier: Barrier, told: Any) -> None:
    """One side of some couples, in a process of its own."""
    app = create_app(settings)
    for uid, sid in jobs:
        with app.app_context():
            current = vip_status_of(uid)
            barrier.wait(60)
            told.put((uid, sid, swipe(uid, sid, SwipeKind.LIKE, current).is_matched))
    with app.app_context():
        db.engine.dispose()


def test_couples_match_exactly_once_across_processes(people: People, app: Flask, settings: Settings) -> None:
    pairs = [(man.id, woman.id) for man, woman in couples(people, 40, is_complete=False)]
    halves = [pairs[::2], [(b, a) for a, b in pairs[::2]], pairs[1::2], [(b, a) for a, b in pairs[1::2]]]
    spawn = multiprocessing.get_context("spawn")
    barrier, told = spawn.Barrier(PROCESSES), spawn.SimpleQueue()
    processes = [spawn.Process(target=_like_in_process, args=(settings, jobs, barrier, told)) for jobs in halves]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    matches = set()
    while not told.empty():
        uid, sid, is_matched = told.get()
        if is_matched:
            matches.add((min(uid, sid), max(uid, sid)))
    told.close()
    for process in processes:
        process.close()
    assert matches == set(pairs)
    with app.app_context():
        assert sorted((row.uid1, row.uid2) for row in db.session.scalars(select(Friend))) == sorted(pairs)
    assert_consistent(app)


def test_one_swipe_sent_many_times_at_once_is_stored_and_paid_once(people: People, app: Flask) -> None:
    man, woman = people.add(), people.woman()
    clients = [Person(man.id, man.phone, people.client_of(man.id)) for _ in range(20)]
    answers = at_once([functools.partial(client.like, woman) for client in clients])
    assert {(answer.status_code, answer.json["data"]["is_matched"]) for answer in answers} == {(200, False)}
    assert_consistent(app)
    assert man.get("/api/vip/me").json["data"]["quotas"]["like"]["used"] == 1


def test_like_against_dislike_of_the_same_person_lets_one_win(people: People, app: Flask) -> None:
    for _ in range(12):
        man, woman = people.add(is_complete=False), people.woman(is_complete=False)
        other = Person(man.id, man.phone, people.client_of(man.id))
        answers = at_once([functools.partial(man.like, woman), functools.partial(other.dislike, woman)])
        assert sorted(answer.json["code"] for answer in answers) == [0, 1008]
    assert_consistent(app)


def test_a_rewind_against_the_other_ones_like_ends_as_one_after_the_other(people: People, app: Flask) -> None:
    for man, woman in couples(people, 15, vip=2, is_complete=False):
        man.like(woman)
        taken_back, liked = at_once(
            [functools.partial(man.post, "/api/social/rewind"), functools.partial(woman.like, man)]
        )
        assert (taken_back.status_code, liked.status_code) == (200, 200)
        # Whichever came first: his like is gone, hers stands, they are no friends.
        with app.app_context():
            assert db.session.get(Swipe, (man.id, woman.id)) is None
            assert db.session.get(LikeIn, (man.id, woman.id)) is not None
            assert db.session.scalars(select(Friend)).all() == []
        assert rewinds_used(app, man) == 1
    assert_consistent(app, ended=set())


def test_a_like_against_the_own_rewind_ends_as_one_after_the_other(people: People, app: Flask) -> None:
    for _ in range(12):
        man = people.add(vip=2, is_complete=False)
        first, second = people.woman(is_complete=False), people.woman(is_complete=False)
        second.like(man)
        man.like(first)
        other = Person(man.id, man.phone, people.client_of(man.id))
        taken_back, liked = at_once(
            [functools.partial(man.post, "/api/social/rewind"), functools.partial(other.like, second)]
        )
        assert (taken_back.status_code, liked.status_code) == (200, 200)
        assert liked.json["data"] == {"is_matched": True}
        gone = int(taken_back.json["data"]["sid"])
        assert gone in (first.id, second.id)
        with app.app_context():
            left = list(db.session.scalars(select(Swipe.sid).where(Swipe.uid == man.id)))
        assert left == [second.id if gone == first.id else first.id]
        assert rewinds_used(app, man) == 1
    assert_consistent(app, ended=set())


def test_unfriend_against_rewind_ends_as_one_after_the_other(people: People, app: Flask) -> None:
    ended = set()
    for man, woman in couples(people, 15, vip=2, is_complete=False):
        woman.like(man)
        man.like(woman)
        taken_back, parted = at_once(
            [
                functools.partial(man.post, "/api/social/rewind"),
                functools.partial(woman.post, "/api/social/unfriend", sid=str(man.id)),
            ]
        )
        # Either the match was taken back and there was nothing to end, or it was ended and cannot be taken back.
        outcome = (taken_back.json["code"], parted.json["code"])
        assert outcome in ((0, 1009), (1007, 0))
        if outcome == (1007, 0):
            ended.add((man.id, woman.id))
        assert rewinds_used(app, man) == (outcome == (0, 1009))
    assert_consistent(app, ended)


def test_both_unfriend_at_once_and_the_match_is_over(people: People, app: Flask) -> None:
    pairs = couples(people, 10, is_complete=False)
    for man, woman in pairs:
        man.like(woman)
        woman.like(man)
        answers = at_once(
            [
                functools.partial(man.post, "/api/social/unfriend", sid=str(woman.id)),
                functools.partial(woman.post, "/api/social/unfriend", sid=str(man.id)),
                functools.partial(man.like, woman),
            ]
        )
        assert {answer.status_code for answer in answers} == {200}
    assert_consistent(app, ended={(man.id, woman.id) for man, woman in pairs})


def test_two_rewinds_at_once_take_back_two_swipes(people: People, app: Flask) -> None:
    for _ in range(10):
        man = people.add(vip=2, is_complete=False)
        women = [people.woman(is_complete=False) for _ in range(3)]
        for woman in women:
            man.like(woman)
        other = Person(man.id, man.phone, people.client_of(man.id))
        answers = at_once([functools.partial(person.post, "/api/social/rewind") for person in (man, other)])
        assert {answer.status_code for answer in answers} == {200}
        assert {int(answer.json["data"]["sid"]) for answer in answers} == {women[1].id, women[2].id}
        with app.app_context():
            assert list(db.session.scalars(select(Swipe.sid).where(Swipe.uid == man.id))) == [women[0].id]
        assert rewinds_used(app, man) == 2
    assert_consistent(app)


def test_of_many_rewinds_at_once_as_many_succeed_as_the_day_allows(people: People, app: Flask) -> None:
    man = people.add(vip=2, is_complete=False)
    women = [people.woman(is_complete=False) for _ in range(6)]
    for woman in women:
        man.like(woman)
    clients = [Person(man.id, man.phone, people.client_of(man.id)) for _ in range(12)]
    answers = at_once([functools.partial(client.post, "/api/social/rewind") for client in clients])
    assert sorted(answer.json["code"] for answer in answers) == [0] * 3 + [1006] * 9
    with app.app_context():
        left = set(db.session.scalars(select(Swipe.sid).where(Swipe.uid == man.id)))
    assert left == {woman.id for woman in women[:3]}
    assert rewinds_used(app, man) == 3
    assert_consistent(app)


@pytest.mark.parametrize("seed", range(3))
def test_a_tangle_of_everything_at_once_stays_consistent(seed: int, people: People, app: Flask) -> None:
    crowd = [person.id for pair in couples(people, 3, vip=3, is_complete=False) for person in pair]

    def mix(number: int) -> None:
        pick = random.Random(f"{seed}:{number}")
        for _ in range(15):
            uid, sid = pick.sample(crowd, 2)
            action = pick.choices(["like", "superlike", "dislike", "rewind", "unfriend"], [8, 2, 2, 4, 1])[0]
            with app.app_context():
                try:
                    if action == "rewind":
                        rewind(uid, vip_status_of(uid))
                    elif action == "unfriend":
                        unfriend(uid, sid)
                    else:
                        swipe(uid, sid, SwipeKind(action), vip_status_of(uid))
                except (NotFoundError, AlreadySwipedError, NothingToRewindError, RateLimitedError):
                    db.session.rollback()

    at_once([functools.partial(mix, number) for number in range(8)])
    assert_consistent(app)
