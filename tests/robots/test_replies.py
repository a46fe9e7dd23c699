"""Development: robots that were met like a newcomer back, through the ordinary service."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from config.settings import Environment, Settings
from swiper.extensions import db
from swiper.profiles.models import Sex, User
from swiper.robots.replies import reply_delay, reply_to_deck, reply_to_like
from swiper.robots.seeding import seed_robots
from swiper.social.models import Swipe, SwipeKind
from swiper.social.swipes import rewind, swipe
from swiper.vip.levels import vip_status_of
from tests.factories import People
from tests.social.test_races import assert_consistent


def robots(app: Flask, sex: Sex = Sex.FEMALE) -> list[int]:
    with app.app_context():
        return sorted(db.session.scalars(select(User.id).where(User.is_robot.is_(True), User.sex == sex)))


def likers_of(app: Flask, uid: int) -> set[int]:
    with app.app_context():
        query = select(Swipe.uid).where(Swipe.sid == uid, Swipe.kind == SwipeKind.LIKE)
        return set(db.session.scalars(query))


@pytest.fixture
def lively(make_app: Callable[..., Flask], app: Flask) -> Flask:
    """An application whose robots answer, with 200 of them, and tasks that run at once."""
    lively = make_app(robots_answer_percent=40)
    lively.extensions["celery"].conf.task_always_eager = True
    with lively.app_context():
        seed_robots(200, seed=1)
    return lively


@pytest.mark.parametrize("share", [0, 1, 40, 100])
def test_of_a_group_that_is_met_some_robots_like_first(share: int, lively: Flask, people: People) -> None:
    man, women = people.add(), robots(lively)
    lively.config["ROBOTS_ANSWER_PERCENT"] = share
    with lively.app_context():
        count = reply_to_deck(man.id, women)
    # Of a hundred women each decides by chance, so the bounds are wide: one run in a million is beyond them.
    assert (count == 1) if share == 0 else (count >= 1 and abs(count - len(women) * share / 200) < 25)


@pytest.mark.parametrize("share", [0, 1, 40, 100])
def test_of_any_group_at_least_one_robot_likes_back(share: int, lively: Flask, people: People) -> None:
    man, met = people.add(), robots(lively)[:5]
    lively.config["ROBOTS_ANSWER_PERCENT"] = share
    with lively.app_context():
        count = reply_to_deck(man.id, met)
    likers = likers_of(lively, man.id)
    assert 1 <= count == len(likers)
    assert likers <= set(met)
    assert share or len(likers) == 1
    assert_consistent(lively)


def test_asking_again_changes_no_robots_mind(lively: Flask, people: People) -> None:
    man, met = people.add(), robots(lively)[:5]
    with lively.app_context():
        reply_to_deck(man.id, met)
    first = likers_of(lively, man.id)
    with lively.app_context():
        reply_to_deck(man.id, met)
    assert likers_of(lively, man.id) == first != set()
    assert_consistent(lively)


def test_a_newcomer_who_likes_the_first_group_has_a_match(lively: Flask) -> None:
    man = People(lively).add()
    shown = man.deck()
    assert len(shown) == 5
    assert any(man.like(uid).json["data"]["is_matched"] for uid in shown)
    assert_consistent(lively)


def test_a_robot_that_was_liked_answers_after_a_while(lively: Flask, people: People) -> None:
    man = people.add()
    with lively.app_context():
        delays = {uid: reply_delay(uid, man.id) for uid in robots(lively)}
        slow = [uid for uid, delay in delays.items() if delay is not None]
        assert all(3 <= delays[uid] <= 12 for uid in slow)
        assert len({delays[uid] for uid in slow}) > 5
        # A fifth of all; another fifth likes first, and the rest never does.
        assert 5 < len(slow) < 40
        swipe(man.id, slow[0], SwipeKind.LIKE, vip_status_of(man.id))
        assert reply_to_like(slow[0], man.id)
    assert man.friends() == [slow[0]]
    assert_consistent(lively)


def test_each_robot_that_answers_does_so_once(lively: Flask) -> None:
    man = People(lively).add()
    liked = [uid for uid in robots(lively)[:40] if man.like(uid).status_code == 200]
    with lively.app_context():
        slow = {uid for uid in liked if reply_delay(uid, man.id) is not None}
    assert 0 < len(slow) < len(liked)
    assert set(man.friends()) == likers_of(lively, man.id) == slow
    assert_consistent(lively)


def test_a_like_that_was_taken_back_or_never_given_is_not_answered(lively: Flask, people: People) -> None:
    man, (first, second, *_) = people.add(vip=2), robots(lively)
    with lively.app_context():
        swipe(man.id, first, SwipeKind.LIKE, vip_status_of(man.id))
        rewind(man.id, vip_status_of(man.id))
        swipe(man.id, second, SwipeKind.DISLIKE, vip_status_of(man.id))
        assert not reply_to_like(first, man.id)
        assert not reply_to_like(second, man.id)
    assert likers_of(lively, man.id) == set()


def test_a_person_is_not_made_to_answer(lively: Flask, people: People) -> None:
    man, woman = people.add(), people.woman()
    man.like(woman)
    with lively.app_context():
        assert not reply_to_like(woman.id, man.id)
    assert likers_of(lively, man.id) == set()


def test_people_and_strangers_to_the_group_do_not_answer(lively: Flask, people: People) -> None:
    man, woman = people.add(), people.woman()
    with lively.app_context():
        assert reply_to_deck(man.id, [woman.id, 12345]) == 0
    assert likers_of(lively, man.id) == set()


def test_robots_do_not_answer_each_other(lively: Flask) -> None:
    women, men = robots(lively), robots(lively, Sex.MALE)
    with lively.app_context():
        assert reply_to_deck(men[0], women) == 0


def test_a_robot_without_likes_left_stays_silent(lively: Flask, people: People) -> None:
    lively.config["LIKES_PER_DAY"] = 1
    robot = robots(lively)[0]
    first, second = people.add(), people.add()
    with lively.app_context():
        assert [reply_to_deck(man.id, [robot]) for man in (first, second)] == [1, 0]
    assert_consistent(lively)


def test_robots_stay_silent_where_the_share_is_zero(make_app: Callable[..., Flask], app: Flask) -> None:
    silent = make_app(robots_answer_percent=0)
    silent.extensions["celery"].conf.task_always_eager = True
    with silent.app_context():
        seed_robots(200, seed=1)
    man = People(silent).add()
    assert len(man.deck()) == 5
    assert likers_of(silent, man.id) == set()


def test_production_turns_the_answers_off(settings: Settings) -> None:
    strict = Settings(
        _env_file=None,
        environment=Environment.PRODUCTION,
        instance=settings.instance,
        secret_key="s" * 40,
        database_url="postgresql://db/swiper",
        redis_url="redis://127.0.0.1",
        sms_providers="aliyun",
        aliyun_access_key_id="a",
        aliyun_access_key_secret="a",
        aliyun_sms_sign_name="a",
        aliyun_sms_template_code="a",
        payment_provider="none",
        trusted_proxies=0,
        robots_answer_percent=100,
    )
    assert strict.robots_answer_percent == 0
