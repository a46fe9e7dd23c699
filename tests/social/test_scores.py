"""The scores in the database: each swipe is counted once, whatever is taken back, killed or done twice meanwhile."""

import functools
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from swiper.auth.login import find_or_create
from swiper.extensions import db, redis
from swiper.profiles.accounts import delete_account
from swiper.social import ranking, ranking_rebuild, scores
from swiper.social.models import POINTS, RankingState, Score, ScoreChange, Swipe, SwipeKind
from swiper.social.queries import ranking as queries
from swiper.social.scores import Uncounted
from tests.factories import People, Person, at_once
from tests.social.test_races import points
from tests.social.test_races import ranking as entries


@pytest.fixture(autouse=True)
def at_once_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A count takes each swipe that is committed, also the newest, and no correction waits."""
    monkeypatch.setattr(scores, "LATE", timedelta(0))
    monkeypatch.setattr(ranking_rebuild, "SETTLE_SECONDS", 0)


def by_swipes() -> dict[int, int]:
    """The scores that the swipes in the database make."""
    db.session.rollback()
    made = points({(row.uid, row.sid): row.kind for row in db.session.scalars(select(Swipe))})
    db.session.rollback()
    return made


def stored() -> dict[int, int]:
    db.session.rollback()
    found = {row.uid: row.score for row in db.session.execute(select(Score.uid, Score.score)) if row.score}
    db.session.rollback()
    return found


def waiting() -> int:
    db.session.rollback()
    return len(db.session.scalars(select(ScoreChange)).all())


def assert_counted() -> None:
    """What is still to be counted makes the stored scores right, and they are right when it is counted."""
    total = Counter(stored())
    total.update(scores.read_uncounted().points())
    assert {uid: score for uid, score in total.items() if score} == by_swipes()
    scores.count_new_swipes()
    assert stored() == by_swipes()
    assert waiting() == 0


@pytest.fixture
def crowd(people: People, context: None) -> tuple[list[Person], list[Person]]:
    """Men on the highest level and women, with some swipes that everybody was counted with."""
    men, women = [people.add(vip=3) for _ in range(4)], [people.woman(vip=3) for _ in range(4)]
    men[0].like(women[0])
    men[1].dislike(women[0])
    scores.count_everybody()
    return men, women


Crowd = tuple[list[Person], list[Person]]


def test_new_swipes_are_counted_once(crowd: Crowd) -> None:
    men, women = crowd
    assert stored() == by_swipes() == {}
    men[2].superlike(women[0])
    women[0].like(men[2])
    scores.count_new_swipes()
    assert stored() == {women[0].id: 7, men[2].id: 5} == by_swipes()
    scores.count_new_swipes()
    assert_counted()


def test_swipes_that_may_have_company_under_way_are_left_to_a_later_count(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    men, women = crowd
    men[2].like(women[1])
    monkeypatch.setattr(scores, "LATE", timedelta(minutes=2))
    assert scores.count_new_swipes() == {women[1].id: 5}
    assert stored() == {}
    monkeypatch.setattr(scores, "LATE", timedelta(0))
    assert not +scores.count_new_swipes()
    assert stored() == {women[1].id: 5}


def test_a_rewind_is_taken_back_whether_its_swipe_was_counted_or_not(crowd: Crowd) -> None:
    men, women = crowd
    men[2].like(women[1])
    assert men[2].post("/api/social/rewind").status_code == 200
    assert_counted()
    men[2].superlike(women[1])
    assert_counted()
    assert men[2].post("/api/social/rewind").status_code == 200
    assert waiting() == 1
    assert_counted()


def test_a_deletion_takes_back_its_swipes_and_removes_its_score(crowd: Crowd) -> None:
    men, women = crowd
    men[2].like(women[1])
    men[2].dislike(women[2])
    women[1].like(men[2])
    women[1].like(men[3])
    assert_counted()
    women[1].like(men[1])
    delete_account(women[1].id)
    assert_counted()
    assert women[1].id not in stored()
    assert waiting() == 0


def test_ended_matches_that_come_back_with_a_number_are_counted(crowd: Crowd, people: People) -> None:
    men, women = crowd
    men[2].like(women[1])
    women[1].like(men[2])
    assert men[2].post("/api/social/unfriend", sid=str(women[1].id)).status_code == 200
    scores.count_new_swipes()
    phone = women[1].phone
    delete_account(women[1].id)
    scores.count_new_swipes()
    assert men[2].id not in stored()
    again = people.log_in(phone)
    # Their swipes have the time of former ones, which the count has passed.
    assert by_swipes()[again.id] == by_swipes()[men[2].id] == 5
    assert waiting() == 2
    assert_counted()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_rewind_between_the_two_reads_of_a_count_is_taken_back_once(crowd: Crowd, moment: str, app: Flask) -> None:
    men, women = crowd
    men[2].like(women[1])
    with at_statement(moment, "FROM score_changes", functools.partial(men[2].post, "/api/social/rewind")):
        scores.count_new_swipes()
    assert by_swipes() == {}
    assert_counted()


def test_a_swipe_that_is_rewound_and_made_again_counts_as_the_new_one(crowd: Crowd) -> None:
    men, women = crowd
    men[2].like(women[1])
    scores.count_new_swipes()
    men[2].post("/api/social/rewind")
    men[2].dislike(women[1])
    assert_counted()
    assert stored() == {women[1].id: -5}


@contextmanager
def at_statement(moment: str, part: str, call: Callable[[], Any]) -> Iterator[None]:
    """Run `call` once, in a thread of its own, `before` or `after` a statement that contains `part`."""
    met: list[str] = []

    def listen(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if part in statement and not met:
            met.append(statement)
            thread = threading.Thread(target=call)
            thread.start()
            thread.join(30)
            assert not thread.is_alive()

    event.listen(db.engine, f"{moment}_cursor_execute", listen)
    try:
        yield
    finally:
        event.remove(db.engine, f"{moment}_cursor_execute", listen)
    assert met


class Killed(BaseException):
    """What ends a process in the middle."""


@pytest.mark.parametrize("step", ["add_to_scores", "delete_changes"])
def test_a_count_that_is_killed_is_done_again_as_a_whole(
    step: str, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    men, women = crowd
    men[2].like(women[1])
    scores.count_new_swipes()
    men[2].post("/api/social/rewind")
    men[3].like(women[2])
    real = getattr(queries, step)

    def die(*args: Any) -> None:
        real(*args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(queries, step, die)
        with pytest.raises(Killed):
            scores.count_new_swipes()
    assert stored() == {women[1].id: 5}
    assert_counted()


def test_a_count_whose_confirmation_is_lost_is_not_done_twice(crowd: Crowd) -> None:
    men, women = crowd
    men[2].like(women[1])
    uncounted, until = scores.read_uncounted(), scores.now()
    step = functools.partial(scores._store, uncounted, until, uncounted.points(until))
    assert [step(), step()] == [True, False]
    assert stored() == {women[1].id: 5}


def test_of_several_processes_that_count_at_once_one_does(crowd: Crowd, app: Flask) -> None:
    men, women = crowd

    def count() -> None:
        with app.app_context():
            scores.count_new_swipes()
            db.session.remove()

    for man in men:
        man.like(women[1])
        man.superlike(women[2])
        at_once([count] * 3)
    assert_counted()
    assert stored() == {women[1].id: 20, women[2].id: 28}


def test_everybody_is_counted_while_others_swipe_and_rewind(crowd: Crowd) -> None:
    men, women = crowd
    men[2].like(women[1])
    men[3].like(women[2])
    scores.count_new_swipes()
    add_to_stored({women[1].id: 100, women[3].id: -3})

    def meanwhile() -> None:
        men[3].post("/api/social/rewind")
        men[2].superlike(women[3])

    with at_statement("after", "GROUP BY swipes.sid", meanwhile):
        # One is wrong by 100, one by -3; the swipe that is rewound meanwhile is taken back by the next count.
        assert scores.count_everybody() == 2
    assert_counted()
    assert stored() == {women[1].id: 5, women[3].id: 7}
    assert scores.count_everybody() == 0


def test_a_full_count_that_is_killed_leaves_nothing_wrong_behind(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    men, women = crowd
    for woman in women:
        men[2].like(woman)
    scores.count_new_swipes()
    add_to_stored({woman.id: 50 for woman in women})
    real, calls = queries.add_to_scores, []

    def die_at_second(changes: dict[int, int]) -> None:
        calls.append(changes)
        if len(calls) == 2:
            raise Killed
        real(changes)

    monkeypatch.setattr(scores, "BATCH", 2)
    with monkeypatch.context() as patch:
        patch.setattr(queries, "add_to_scores", die_at_second)
        with pytest.raises(Killed):
            scores.count_everybody()
    assert scores.count_everybody() == 2
    assert_counted()


def test_after_a_long_pause_everybody_is_counted(crowd: Crowd) -> None:
    _men, women = crowd
    assert not scores.needs_full_count()
    move_state(-timedelta(hours=3))
    add_to_stored({women[1].id: 30})
    assert scores.needs_full_count()
    ranking_rebuild.rebuild_ranking()
    assert_counted()
    assert not scores.needs_full_count()


def test_after_a_count_by_a_clock_that_was_ahead_everybody_is_counted(crowd: Crowd) -> None:
    men, women = crowd
    move_state(timedelta(hours=8))
    men[2].like(women[2])
    ranking_rebuild.rebuild_ranking()
    assert_counted()
    assert not scores.needs_full_count()


def test_every_night_the_scores_are_corrected_by_all_swipes(crowd: Crowd, app: Flask) -> None:
    _men, women = crowd
    add_to_stored({women[1].id: 30})
    app.extensions["celery"].tasks["social.recount_scores"]()
    assert_counted()


def test_a_count_beside_a_full_count_makes_the_full_one_give_way(crowd: Crowd, app: Flask) -> None:
    men, women = crowd
    add_to_stored({women[1].id: 30})
    men[2].like(women[2])
    with (
        at_statement("after", "GROUP BY swipes.sid", functools.partial(in_context, app, scores.count_new_swipes)),
        pytest.raises(RuntimeError, match="another process"),
    ):
        scores.count_everybody()
    scores.count_everybody()
    assert_counted()


def in_context(app: Flask, call: Callable[[], Any]) -> None:
    with app.app_context():
        call()
        db.session.remove()


def add_to_stored(changes: dict[int, int]) -> None:
    scores.transactional(queries.add_to_scores)(changes)


def move_state(by: timedelta) -> None:
    db.session.rollback()
    state = db.session.scalars(select(RankingState)).one()
    assert state.counted_until is not None
    state.counted_until += by
    db.session.commit()


# --- The set in Redis is bounded ---


def test_a_full_ranking_keeps_the_highest_and_takes_in_who_rises(
    people: People, context: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (ranking, ranking_rebuild):
        monkeypatch.setattr(module, "RANKED", 3)
    men, women = [people.add(vip=3) for _ in range(5)], [people.woman() for _ in range(6)]
    for number, man in enumerate(men):
        for woman in women[: 5 - number]:
            man.like(woman)
    assert ranking_rebuild.rebuild_ranking() == 3
    top = {women[0].id: 25, women[1].id: 20, women[2].id: 15}
    assert entries() == top
    # The points of somebody without an entry are not added to nothing.
    men[0].like(women[5])
    men[4].like(women[1])
    assert entries() == top | {women[1].id: 25}
    for man in men[1:]:
        man.superlike(women[5])
    assert ranking_rebuild.rebuild_ranking() == 3
    assert entries() == {women[5].id: 33, women[0].id: 25, women[1].id: 25}
    # Whoever falls leaves a place.
    delete_account(women[0].id)
    assert ranking_rebuild.rebuild_ranking() == 3
    assert entries() == {women[5].id: 33, women[1].id: 25, women[2].id: 15}
    # With few enough people all of them have an entry again, and new ones get one at once.
    for woman in (women[3], women[4], women[5]):
        delete_account(woman.id)
    assert ranking_rebuild.rebuild_ranking() == 2
    assert entries() == {women[1].id: 25, women[2].id: 15}
    men[0].like(men[1])
    assert entries() == {women[1].id: 25, women[2].id: 15, men[1].id: 5}


def test_a_ranking_of_everybody_that_a_former_release_has_left_is_cut_down(
    people: People, context: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking_rebuild, "RANKED", 2)
    monkeypatch.setattr(ranking_rebuild, "BATCH", 3)
    man, women = people.add(vip=3), [people.woman() for _ in range(4)]
    for woman in women:
        man.like(woman)
    redis.client.set(ranking_rebuild.BUILT_KEY, 1)
    redis.client.zadd(ranking.KEY, {str(number): number for number in range(100)})
    ranking_rebuild.rebuild_ranking()
    assert len(entries()) == 2
    assert set(entries().values()) == {5}


def test_a_lost_redis_is_filled_without_counting_all_swipes(people: People, context: None, app: Flask) -> None:
    men, women = [people.add(vip=3) for _ in range(3)], [people.woman() for _ in range(3)]
    for man in men:
        for woman in women:
            man.like(woman)
    ranking_rebuild.rebuild_ranking()
    redis.client.flushdb()
    seen: list[str] = []

    def listen(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", listen)
    assert ranking_rebuild.restore_lost_ranking()
    event.remove(db.engine, "before_cursor_execute", listen)
    assert entries() == by_swipes() == {woman.id: 15 for woman in women}
    assert seen
    assert not [statement for statement in seen if "GROUP BY" in statement]


# --- Whatever happens in whatever order ---


class World:
    """People who do what chance says; after any of it the scores follow the swipes."""

    def __init__(self, people: People, pick: random.Random) -> None:
        self.people, self.pick = people, pick
        self.crowd = [people.add(vip=3) for _ in range(3)] + [people.woman(vip=3) for _ in range(3)]

    def swipe(self) -> None:
        one, other = self.pick.sample(self.crowd, 2)
        one.swipe(self.pick.choice(["like", "superlike", "dislike"]), other)

    def rewind(self) -> None:
        self.pick.choice(self.crowd).post("/api/social/rewind")

    def unfriend(self) -> None:
        one, other = self.pick.sample(self.crowd, 2)
        one.post("/api/social/unfriend", sid=str(other.id))

    def move(self) -> None:
        self.pick.choice(self.crowd).post(
            "/api/user/profile/modify", location=self.pick.choice(["北京", "上海", "深圳"])
        )

    def delete(self) -> None:
        place = self.pick.randrange(len(self.crowd))
        phone = self.crowd[place].phone
        delete_account(self.crowd[place].id)
        uid = find_or_create(phone).id
        self.crowd[place] = Person(uid, phone, self.people.client_of(uid))

    def count(self) -> None:
        scores.count_new_swipes()

    def count_killed(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(queries, "delete_changes", self.die)
            try:
                scores.count_new_swipes()
            except Killed:
                db.session.rollback()

    @staticmethod
    def die(*_: Any) -> None:
        raise Killed

    def count_twice(self) -> None:
        """Two processes read, and both try to store what they have read."""
        both = [scores.read_uncounted() for _ in range(2)]
        until = scores.now()
        done = [scores._store(each, until, each.points(until)) for each in both]
        assert done == [True, False]

    def count_everybody(self) -> None:
        assert scores.count_everybody() == 0

    def rebuild(self) -> None:
        ranking_rebuild.rebuild_ranking()
        assert entries() == by_swipes()


STEPS = ["swipe"] * 12 + ["rewind"] * 3 + ["unfriend", "move", "delete"] + ["count"] * 3
STEPS += ["count_killed", "count_twice", "count_everybody", "rebuild"]


@pytest.mark.parametrize("seed", range(4))
def test_scores_follow_swipes_in_any_order_of_events(
    seed: int, people: People, context: None, monkeypatch: pytest.MonkeyPatch, app: Flask
) -> None:
    monkeypatch.setitem(app.config, "SWIPES_PER_DAY", 10_000)
    pick = random.Random(seed)
    world = World(people, pick)
    scores.count_everybody()
    for _ in range(60):
        getattr(world, pick.choice(STEPS))()
    assert_counted()
    world.rebuild()


# --- The arithmetic alone ---


def change(uid: int, at: datetime, number: int, *, is_removal: bool) -> ScoreChange:
    return ScoreChange(uid=uid, id=1, swiped_at=at, points=number, is_removal=int(is_removal))


def test_what_a_change_means_depends_on_what_was_read_of_its_swipe() -> None:
    since = datetime(2026, 1, 1, 12)
    old, new = since - timedelta(minutes=1), since + timedelta(minutes=1)
    like = POINTS[SwipeKind.LIKE]

    def total(swipes: list[tuple[int, datetime, int]], *changes: ScoreChange) -> int:
        return Uncounted(1, since, swipes, changes).points()[7]

    assert total([(7, new, like)]) == like
    assert total([(7, new, like)], change(7, new, -like, is_removal=True)) == 0
    assert total([], change(7, new, -like, is_removal=True)) == 0
    assert total([], change(7, old, -like, is_removal=True)) == -like
    assert total([], change(7, old, like, is_removal=False)) == like
    assert total([], change(7, new, like, is_removal=False)) == like
    assert total([(7, new, like)], change(7, new, like, is_removal=False)) == like
    both = change(7, new, like, is_removal=False), change(7, new, -like, is_removal=True)
    assert total([], *both) == 0
    assert total([(7, new, like)], *both) == 0
