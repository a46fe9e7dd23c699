"""The ranking and its page."""

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from config.settings import Settings
from swiper.cache.values import invalidate
from swiper.extensions import cache, db, redis
from swiper.profiles.accounts import delete_account, set_status
from swiper.profiles.models import Status
from swiper.signals import account_deleted
from swiper.social import deletions, ranking, ranking_rebuild, swipes
from swiper.social.models import Swipe
from swiper.tasks.queue import only_one
from tests.factories import People, Person, at_once
from tests.processes import patched_program
from tests.social.test_races import points
from tests.social.test_races import ranking as scores

# What the statements of a rebuild can be told by: the one that looks at everybody, the one that counts a few anew.
EVERYBODY, A_FEW = "pairs.changed_at >", "scores.uid IN"


@pytest.fixture(autouse=True)
def at_its_ease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else goes on while these tests rebuild, but for what they start themselves."""
    monkeypatch.setattr(ranking_rebuild, "SETTLE_SECONDS", 0)


def hot(person: Person) -> list[tuple[int, int, int]]:
    """Rank, score and id of everyone on a fresh page."""
    with person.client.application.app_context():
        invalidate(ranking.PAGE_KEY)
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
        ranking_rebuild.rebuild_ranking()
        assert scores() == followed == made_by_swipes()


def made_by_swipes() -> dict[int, int]:
    """The scores that the swipes in the database make."""
    return points({(row.uid, row.sid): row.kind for row in db.session.scalars(select(Swipe))})


def rebuild(app: Flask) -> int:
    """As the task does it."""
    count: int = app.extensions["celery"].tasks["social.rebuild_ranking"]()
    return count


def assert_right(app: Flask) -> None:
    with app.app_context():
        assert scores() == made_by_swipes()


@contextmanager
def at_statement(app: Flask, moment: str, text: str, call: Callable[[], Any]) -> Iterator[list[str]]:
    """Run `call` once, in a thread of its own, `before` or `after` a statement that contains `text`."""
    met: list[str] = []

    def listen(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if text in statement and not met:
            met.append(statement)
            in_thread(call)

    with app.app_context():
        engine = db.engine
    event.listen(engine, f"{moment}_cursor_execute", listen)
    try:
        yield met
    finally:
        event.remove(engine, f"{moment}_cursor_execute", listen)
    assert met, f"nothing like {text!r} was executed"


def in_thread(call: Callable[[], Any]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def lost(people: People, app: Flask) -> tuple[list[Person], Person]:
    """Some men, and a woman whose score Redis has wrong: it lost one of two likes."""
    men, woman = [people.add(vip=1) for _ in range(6)], people.woman()
    for man in men[:2]:
        man.like(woman)
    rebuild(app)
    with app.app_context():
        redis.client.zadd(ranking.KEY, {str(woman.id): 5})
    return men, woman


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_points_made_while_everybody_is_counted_are_neither_lost_nor_doubled(
    moment: str, is_first: bool, people: People, app: Flask
) -> None:
    men, women = [people.add() for _ in range(3)], [people.woman() for _ in range(2)]
    men[0].like(women[0])
    if not is_first:
        rebuild(app)

    def swipe_meanwhile() -> None:
        men[1].like(women[0])
        men[0].dislike(women[1])

    with at_statement(app, moment, EVERYBODY, swipe_meanwhile):
        rebuild(app)
    assert_right(app)


@pytest.mark.parametrize(
    ("moment", "text", "score"),
    # As soon as everybody was counted, her lost point and her new one look like the right score.
    [("before", EVERYBODY, 15), ("after", EVERYBODY, 10), ("before", A_FEW, 10), ("after", A_FEW, 10)],
)
def test_somebody_who_gets_a_point_while_their_score_is_corrected_is_left_to_the_next_rebuild(
    moment: str, text: str, score: int, lost: tuple[list[Person], Person], app: Flask
) -> None:
    men, woman = lost
    with at_statement(app, moment, text, functools.partial(men[2].like, woman)):
        rebuild(app)
    with app.app_context():
        assert made_by_swipes() == {woman.id: 15}
        assert scores() == {woman.id: score}
    rebuild(app)
    assert_right(app)


def test_a_score_that_moved_and_came_back_is_not_taken_for_one_that_stood_still(
    lost: tuple[list[Person], Person], app: Flask
) -> None:
    men, woman = lost
    with (
        at_statement(app, "before", A_FEW, functools.partial(men[2].like, woman)),
        at_statement(app, "after", A_FEW, functools.partial(men[3].dislike, woman)),
    ):
        rebuild(app)
    with app.app_context():
        assert made_by_swipes() == {woman.id: 10}
        assert scores() == {woman.id: 5}
    rebuild(app)
    assert_right(app)


def test_a_point_that_comes_late_is_waited_for(
    lost: tuple[list[Person], Person], app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The like is committed before the count, its point arrives after it."""
    men, woman = lost
    is_committed, may_count, real = threading.Event(), threading.Event(), swipes.add_points

    def late(*args: Any, **kwargs: Any) -> None:
        is_committed.set()
        assert may_count.wait(30)
        real(*args, **kwargs)

    monkeypatch.setattr(swipes, "add_points", late)
    slow = threading.Thread(target=men[2].like, args=(woman,))

    def begin() -> None:
        slow.start()
        assert is_committed.wait(30)

    def settle(_seconds: float) -> None:
        assert not db.session().in_transaction()
        may_count.set()
        slow.join(30)

    monkeypatch.setattr(ranking_rebuild.time, "sleep", settle)
    with at_statement(app, "before", A_FEW, begin):
        rebuild(app)
    assert not slow.is_alive()
    with app.app_context():
        assert scores() == {woman.id: 10}
    rebuild(app)
    assert_right(app)


def test_a_rebuild_does_not_correct_by_an_older_count_than_anothers(
    lost: tuple[list[Person], Person], app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    men, woman = lost

    def another_begins(_seconds: float) -> None:
        men[2].superlike(woman)
        with app.app_context():
            redis.client.hset(ranking.WATCHED_KEY, str(woman.id), "another")

    monkeypatch.setattr(ranking_rebuild.time, "sleep", another_begins)
    rebuild(app)
    with app.app_context():
        assert scores() == {woman.id: 12}


def test_a_deletion_while_a_score_is_corrected_wins(lost: tuple[list[Person], Person], app: Flask) -> None:
    _, woman = lost

    def delete() -> None:
        with app.app_context():
            delete_account(woman.id)

    with at_statement(app, "after", A_FEW, delete):
        rebuild(app)
    with app.app_context():
        assert scores() == {}


def test_a_lost_redis_is_filled_again_while_swipes_go_on(people: People, app: Flask) -> None:
    men, women = [people.add() for _ in range(2)], [people.woman() for _ in range(5)]
    for woman in women:
        men[0].like(woman)
    rebuild(app)
    with app.app_context():
        redis.client.delete(ranking.KEY, ranking_rebuild.BUILT_KEY)
    men[1].like(women[0])
    with at_statement(app, "after", EVERYBODY, functools.partial(men[1].like, women[1])):
        assert rebuild(app) == 5
    assert_right(app)


@pytest.mark.parametrize("gone", [[ranking.KEY, ranking_rebuild.BUILT_KEY], [ranking.KEY], [ranking_rebuild.BUILT_KEY]])
def test_a_lost_ranking_is_filled_at_once_even_where_there_is_no_time_to_correct(
    gone: list[str], lost: tuple[list[Person], Person], app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    men, woman = lost
    men[2].like(men[0])
    with app.app_context():
        redis.client.delete(*gone)
    if len(gone) == 2:
        # The first point after the loss makes a new ranking of one.
        men[3].like(men[1])
    monkeypatch.setattr(ranking_rebuild, "CORRECTING_SECONDS", -1)
    rebuild(app)
    with app.app_context():
        assert scores() == made_by_swipes()
        assert scores()[woman.id] == 10


def test_every_wrong_score_is_corrected_in_batches(people: People, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    man, women = people.add(vip=2), [people.woman() for _ in range(7)]
    for woman in women:
        man.like(woman)
    rebuild(app)
    monkeypatch.setattr(ranking_rebuild, "BATCH", 2)
    monkeypatch.setattr(ranking_rebuild, "CHUNK", 1)
    with app.app_context():
        redis.client.zadd(ranking.KEY, {str(women[0].id): -3, str(women[1].id): 8, "1": 4, "2": -4})
        redis.client.zrem(ranking.KEY, *[woman.id for woman in women[2:5]])
        assert ranking_rebuild.rebuild_ranking() == 7
        assert dict(redis.client.zrange(ranking.KEY, 0, -1, withscores=True)) == {
            str(woman.id).encode(): 5 for woman in women
        }


def test_a_rebuild_that_takes_too_long_leaves_the_rest_to_the_next(
    lost: tuple[list[Person], Person], app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as hurried:
        hurried.setattr(ranking_rebuild, "CORRECTING_SECONDS", -1)
        rebuild(app)
        with app.app_context():
            assert scores() == {lost[1].id: 5}
    rebuild(app)
    assert_right(app)


def test_a_rebuild_leaves_nothing_else_behind(lost: tuple[list[Person], Person], app: Flask) -> None:
    rebuild(app)
    with app.app_context():
        kept = {key for key in redis.client.keys("*ranking*") if b":answer:" not in key}
        assert kept == {ranking.KEY.encode(), ranking_rebuild.BUILT_KEY.encode()}


def test_one_rebuild_runs_at_a_time(lost: tuple[list[Person], Person], app: Flask) -> None:
    with app.app_context(), only_one("rebuild_ranking") as is_ours:
        assert is_ours
        rebuild(app)
        assert scores() == {lost[1].id: 5}
    rebuild(app)
    assert_right(app)


def restore(app: Flask) -> bool:
    """As the task does it."""
    is_restored: bool = app.extensions["celery"].tasks["social.restore_ranking"]()
    return is_restored


@pytest.mark.parametrize("has_new_points", [False, True])
def test_a_ranking_that_redis_has_lost_is_there_again_after_one_task(
    has_new_points: bool, people: People, lost: tuple[list[Person], Person], app: Flask
) -> None:
    men, woman = lost
    with app.app_context():
        redis.client.flushdb()
    for man in men:
        man.client = people.client_of(man.id)
    # The empty page is answered, and cached.
    assert men[0].get("/api/social/hot").json["data"] == []
    if has_new_points:
        men[3].like(men[1])
    assert restore(app)
    assert_right(app)
    shown = men[0].get("/api/social/hot").json["data"]
    assert (int(shown[0]["user"]["id"]), shown[0]["score"]) == (woman.id, 10)
    assert not restore(app)


def test_a_ranking_that_is_there_is_left_alone(lost: tuple[list[Person], Person], app: Flask) -> None:
    assert not restore(app)
    with app.app_context():
        assert scores() == {lost[1].id: 5}


def test_an_empty_ranking_is_not_taken_for_a_lost_one(app: Flask) -> None:
    assert restore(app)
    assert not restore(app)


def test_two_workers_at_once_restore_a_lost_ranking_once(
    lost: tuple[list[Person], Person], app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuilt, real = [], ranking_rebuild.rebuild_ranking

    def slowly() -> int:
        rebuilt.append(threading.get_ident())
        time.sleep(0.3)
        return real()

    monkeypatch.setattr(ranking_rebuild, "rebuild_ranking", slowly)
    with app.app_context():
        redis.client.flushdb()
    assert sorted(at_once([functools.partial(restore, app)] * 4)) == [False, False, False, True]
    assert len(rebuilt) == 1
    assert_right(app)


def test_a_worker_that_was_late_for_its_turn_does_not_rebuild_again(
    lost: tuple[list[Person], Person], app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ranking_rebuild.only_one

    @contextmanager
    def late(*args: Any) -> Iterator[Any]:
        # Another worker has its turn between the look at Redis and the turn of this one.
        with monkeypatch.context() as first:
            first.setattr(ranking_rebuild, "only_one", real)
            in_thread(functools.partial(restore, app))
        with real(*args) as turn:
            yield turn

    with app.app_context():
        redis.client.flushdb()
    monkeypatch.setattr(ranking_rebuild, "only_one", late)
    assert not restore(app)
    assert_right(app)


def test_nobody_is_ranked_with_no_points(people: People, app: Flask) -> None:
    men, women = [people.add(vip=2) for _ in range(2)], [people.woman() for _ in range(2)]
    men[0].like(women[0])
    men[0].post("/api/social/rewind")
    men[0].like(women[1])
    men[1].dislike(women[1])
    assert hot(men[0]) == []
    assert rebuild(app) == 0
    assert hot(men[0]) == []


def test_the_points_of_a_deleted_account_s_swipes_go_with_them(people: People, app: Flask) -> None:
    men, women = [people.add(vip=1) for _ in range(2)], [people.woman() for _ in range(3)]
    men[0].superlike(women[0])
    men[0].dislike(women[1])
    men[0].like(women[2])
    men[1].like(women[0])
    with app.app_context():
        delete_account(men[0].id)
        assert scores() == {women[0].id: 5} == made_by_swipes()


def test_whoever_is_gone_has_no_place_even_before_the_rest_of_the_deletion(people: People, app: Flask) -> None:
    man, woman = people.add(), people.woman()
    man.like(woman)
    rebuild(app)
    with app.app_context(), account_deleted.muted():
        delete_account(woman.id)
        assert scores() == made_by_swipes() == {woman.id: 5}
    assert rebuild(app) == 0
    with app.app_context():
        assert scores() == {}


def test_a_rewind_and_a_deletion_at_the_same_moment_take_a_point_back_once(people: People, app: Flask) -> None:
    def delete(uid: int) -> None:
        with app.app_context():
            deletions.remove_traces(uid)

    for _ in range(8):
        man, woman = people.add(vip=2, is_complete=False), people.woman()
        man.like(woman)
        at_once([functools.partial(man.post, "/api/social/rewind"), functools.partial(delete, man.id)])
        with app.app_context():
            assert scores() == {}


def test_a_rebuild_without_swipes_leaves_an_empty_ranking(app: Flask) -> None:
    with app.app_context():
        redis.client.zadd(ranking.KEY, {"1": 5})
        assert ranking_rebuild.rebuild_ranking() == 0
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
        # The suspended one keeps her points, the deleted one's are gone.
        assert ranking_rebuild.rebuild_ranking() == 3
    assert hot(man) == shown


def test_many_who_are_suspended_do_not_shorten_the_page(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "READ", 2)
    man, women = people.add(vip=1), [people.woman() for _ in range(7)]
    for number, woman in enumerate(women):
        man.swipe("superlike" if number < 5 else "like", woman)
    with app.app_context():
        for woman in women[:5]:
            set_status(woman.id, Status.SUSPENDED)
    assert {uid for _, _, uid in hot(man)} == {woman.id for woman in women[5:]}


def test_a_suspended_account_is_off_the_cached_page_at_once_and_comes_back_with_its_points(
    people: People, app: Flask
) -> None:
    man, woman = people.add(vip=2), people.woman()
    man.like(woman)

    def shown() -> list[tuple[int, int]]:
        return [(int(place["user"]["id"]), place["score"]) for place in man.get("/api/social/hot").json["data"]]

    assert shown() == [(woman.id, 5)]
    with app.app_context():
        set_status(woman.id, Status.SUSPENDED)
    assert shown() == []
    with app.app_context():
        set_status(woman.id, Status.ACTIVE)
    assert shown() == [(woman.id, 5)]
    with app.app_context():
        set_status(woman.id, Status.SUSPENDED)
    # Points go on following the swipes meanwhile.
    assert man.post("/api/social/rewind").status_code == 200
    with app.app_context():
        set_status(woman.id, Status.ACTIVE)
    assert shown() == []


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
        invalidate(ranking.PAGE_KEY)
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
    assert woman.delete_account().status_code == 200
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


# --- the points of a gevent worker's requests are gathered ---


def in_worker(
    job: str, settings: Settings, folder: Path, uids: list[Person], sids: list[Person], redis_url: str = ""
) -> list[str]:
    """What `tests/social/gathered_points.py` prints."""
    ids = [",".join(str(person.id) for person in group) for group in (uids, sids)]
    arguments = (job, settings.database_url, redis_url or settings.redis_url, *ids)
    with patched_program(settings, folder / "log", "tests.social.gathered_points", *arguments) as program:
        assert program.wait() == 0, program.output
    return program.output.splitlines()


def test_the_points_of_many_swipes_are_sent_together_and_come_out_exact(
    people: People, app: Flask, settings: Settings, tmp_path: Path
) -> None:
    men, women = [people.add(vip=1) for _ in range(10)], [people.woman() for _ in range(5)]
    done, sent, most = map(int, in_worker("many", settings, tmp_path, men, women)[-1].split())
    assert done == 50
    assert sent <= most
    assert_right(app)


def test_a_like_and_its_rewind_that_are_gathered_together_still_count_as_a_point_for_a_rebuild(
    people: People, app: Flask, settings: Settings, tmp_path: Path
) -> None:
    man, woman = people.add(vip=2), people.woman()
    told = in_worker("like_and_rewind", settings, tmp_path, [man], [woman])
    assert told == [f"{{{woman.id}: 0}} 1", "{} 0"]
    with app.app_context():
        assert redis.client.zscore(ranking.KEY, woman.id) is None


def test_points_that_redis_does_not_take_are_told_and_left_to_the_next_rebuild(
    people: People, app: Flask, settings: Settings, tmp_path: Path
) -> None:
    men, woman = [people.add() for _ in range(3)], people.woman()
    *told, last = in_worker("without_redis", settings, tmp_path, men, [woman], "unix:///nonexistent.sock")
    assert last == "stored"
    told = [line for line in told if "points of" in line]
    assert len(told) == 3
    assert all("WARNING" in line and "points of 1 people are missing" in line for line in told)
    with app.app_context():
        assert made_by_swipes() == {woman.id: 15}
        assert scores() == {}
    rebuild(app)
    assert_right(app)
