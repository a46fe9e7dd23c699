"""Robots move into the city that somebody chooses: enough of both sexes, once, and not into any number of cities."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, select

from swiper.extensions import db, redis
from swiper.profiles.models import Discovery, Sex, User
from swiper.robots import cities, tasks
from swiper.robots.seeding import FEMALE_NAMES, FIRST_PHONE, LAST_PHONE, MALE_NAMES, seed_city, seed_robots
from swiper.tasks.queue import only_one
from swiper.vip.levels import vip_status_of
from tests.factories import People

WANTED = 12


@pytest.fixture
def demo(make_app: Callable[..., Flask], app: Flask) -> Flask:
    """An application that fills cities, with tasks that run at once."""
    demo = make_app(robots_per_city=WANTED)
    demo.extensions["celery"].conf.task_always_eager = True
    return demo


@pytest.fixture
def newcomers(demo: Flask) -> People:
    return People(demo)


def robots_of(app: Flask, city: str) -> Counter[Sex | None]:
    """How many robots of each sex a deck of the city can show."""
    with app.app_context():
        uids = db.session.scalars(select(Discovery.uid).where(Discovery.location == city)).all()
        query = select(User.sex).where(User.id.in_(uids), User.location == city, User.is_robot.is_(True))
        return Counter(db.session.scalars(query))


def count_robots(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(User).where(User.is_robot.is_(True))) or 0


def settle(newcomers: People, city: str) -> Any:
    """Somebody new who chooses this city as the web client does."""
    newcomer = newcomers.add(is_complete=False)
    answer = newcomer.post("/api/user/profile/modify", sex="male", birthday="1995-05-20", location=city)
    assert answer.status_code == 200, answer.json
    return newcomer


EQUAL = {Sex.MALE: WANTED, Sex.FEMALE: WANTED}


def test_a_city_that_somebody_chooses_gets_robots_whom_the_deck_shows(demo: Flask, newcomers: People) -> None:
    newcomer = settle(newcomers, "哈尔滨")
    assert robots_of(demo, "哈尔滨") == EQUAL
    assert count_robots(demo) == 2 * WANTED
    assert len(newcomer.deck()) == 5


def test_robots_that_are_there_count(demo: Flask, newcomers: People) -> None:
    with demo.app_context():
        seed_robots(100, seed=1)
    settle(newcomers, "上海")
    assert robots_of(demo, "上海") == EQUAL
    assert 100 < count_robots(demo) < 100 + 2 * WANTED


def test_a_city_that_has_enough_gets_none(demo: Flask, newcomers: People) -> None:
    with demo.app_context():
        seed_robots(16 * WANTED, seed=1)
    settle(newcomers, "上海")
    assert count_robots(demo) == 16 * WANTED


def test_people_do_not_count_as_robots_but_a_crowd_of_them_does(
    demo: Flask, newcomers: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cities, "CROWD", 1)
    for _ in range(WANTED):
        newcomers.add(location="大连")
    for _ in range(WANTED - 1):
        newcomers.woman(location="大连")
    settle(newcomers, "大连")
    assert robots_of(demo, "大连") == {Sex.FEMALE: WANTED}


def test_a_city_is_filled_once(demo: Flask, newcomers: People) -> None:
    settle(newcomers, "哈尔滨")
    with demo.app_context():
        db.session.execute(delete(Discovery).where(Discovery.location == "哈尔滨"))
        db.session.commit()
    settle(newcomers, "哈尔滨")
    assert count_robots(demo) == 2 * WANTED


def test_the_number_of_cities_is_bounded(demo: Flask, newcomers: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cities, "MAX_CITIES", 3)
    # Who may look at any city may also change the own one at will.
    traveller = newcomers.add(vip=3)
    for number in range(6):
        assert traveller.post("/api/user/profile/modify", location=f"city {number}").status_code == 200
    assert [sum(robots_of(demo, f"city {number}").values()) for number in range(6)] == [2 * WANTED] * 3 + [0] * 3


def test_only_one_process_fills_a_city_and_another_one_comes_back_later(
    demo: Flask, newcomers: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[Any] = []
    monkeypatch.setattr(tasks, "enqueue", lambda task, *args, **options: queued.append((task.name, args, options)))
    newcomer = newcomers.add(location="哈尔滨")
    with demo.app_context():
        with only_one("fill_city"):
            assert tasks.fill_city(newcomer.id) == 0
        assert count_robots(demo) == 0
        assert queued == [("robots.fill_city", (newcomer.id,), {"delay_seconds": tasks.FILL_AGAIN_SECONDS})]
        assert tasks.fill_city(newcomer.id) == 2 * WANTED


def test_only_the_choice_of_a_city_queues_the_task(
    demo: Flask, newcomers: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[str] = []
    monkeypatch.setattr(tasks, "enqueue", lambda task, *args, **options: queued.append(task.name))
    newcomer = settle(newcomers, "哈尔滨")
    assert queued == ["robots.fill_city"]
    newcomer.post("/api/user/profile/modify", bio="你好", location="哈尔滨")
    assert newcomer.post("/api/user/profile/modify", location="").status_code == 422
    assert queued == ["robots.fill_city"]
    newcomer.post("/api/user/profile/modify", location="大连")
    assert queued == ["robots.fill_city"] * 2
    demo.config["ROBOTS_PER_CITY"] = 0
    newcomer.post("/api/user/profile/modify", location="青岛")
    assert queued == ["robots.fill_city"] * 2


def test_somebody_without_a_city_and_somebody_who_is_gone_bring_no_robots(demo: Flask, newcomers: People) -> None:
    newcomer = newcomers.add(is_complete=False)
    with demo.app_context():
        assert tasks.fill_city(newcomer.id) == tasks.fill_city(12345) == 0
    assert count_robots(demo) == 0


def test_a_city_that_could_not_be_filled_is_filled_the_next_time(
    demo: Flask, newcomers: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    newcomer = newcomers.add(location="哈尔滨")
    with demo.app_context():
        with monkeypatch.context() as patched:
            patched.setattr(cities, "seed_city", lambda city, counts: 1 // 0)
            with pytest.raises(ZeroDivisionError):
                tasks.fill_city(newcomer.id)
        assert redis.client.scard(cities.FILLED) == 0
        assert tasks.fill_city(newcomer.id) == 2 * WANTED


def test_robots_of_a_city_are_like_all_others(context: None) -> None:
    seed_robots(7, seed=1)
    seed_city("哈尔滨", {Sex.MALE: 88, Sex.FEMALE: 95})
    seed_robots(5, seed=1)
    everyone = list(db.session.scalars(select(User).order_by(User.phone)))
    assert [int(user.phone) for user in everyone] == list(range(FIRST_PHONE, FIRST_PHONE + 195))
    assert FIRST_PHONE + 195 <= LAST_PHONE
    assert len({user.nickname for user in everyone}) == 195
    added = everyone[7:190]
    assert Counter(user.sex for user in added) == {Sex.MALE: 88, Sex.FEMALE: 95}
    assert {user.location for user in added} == {"哈尔滨"}
    assert all(user.is_robot and user.birthday and 1980 <= user.birthday.year <= 2000 for user in added)
    for user in added:
        assert user.nickname[1] in (MALE_NAMES if user.sex is Sex.MALE else FEMALE_NAMES)
    badged = Counter(user.sex for user in added if vip_status_of(user.id).level.badge["badge"])
    assert all(88 / 10 < badged[sex] < 95 / 3 for sex in Sex)


def test_a_city_that_lacks_nobody_stays_as_it_is(context: None) -> None:
    seed_city("哈尔滨", {Sex.MALE: 0, Sex.FEMALE: 0})
    assert db.session.scalar(select(func.count()).select_from(User)) == 0
