"""Invented people: who they are, that they can be made again, and what they cannot do."""

import time
from collections import Counter
from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from swiper.auth.models import Phone, SmsOutbox
from swiper.extensions import db
from swiper.profiles.cards import refresh_discovery_row
from swiper.profiles.models import Discovery, Nickname, Preferences, Sex, User
from swiper.robots import seeding
from swiper.robots.seeding import FEMALE_NAMES, MALE_NAMES, SURNAMES, seed_robots
from swiper.vip.levels import vip_status_of
from swiper.vip.memberships import expire_memberships
from swiper.vip.models import Membership
from tests.conftest import wipe
from tests.factories import People

CITIES = {"北京", "上海", "深圳", "广州", "西安", "成都", "沈阳", "武汉"}


def everyone() -> list[User]:
    return list(db.session.scalars(select(User).order_by(User.phone)))


def traits(user: User) -> tuple[Any, ...]:
    """All of a robot but its id and the moment it was made."""
    return user.phone, user.nickname, user.sex, user.birthday, user.location, user.bio, user.avatar


def test_the_pools_are_a_hundred_surnames_and_thirty_two_names_each() -> None:
    assert [len(set(pool)) for pool in (SURNAMES, MALE_NAMES, FEMALE_NAMES)] == [100, 32, 32]
    assert not set(MALE_NAMES) & set(FEMALE_NAMES)


def test_robots_are_as_specified(context: None) -> None:
    seed_robots(300, seed=1)
    users = everyone()
    assert len(users) == 300
    assert all(user.is_robot for user in users)
    assert all(21_000_000_000 <= int(user.phone) <= 21_900_000_000 for user in users)
    assert len({user.nickname for user in users}) == 300
    assert all(user.birthday and date(1980, 1, 1) <= user.birthday <= date(2000, 12, 31) for user in users)
    assert {user.birthday.year for user in users if user.birthday} == set(range(1980, 2001))
    assert {user.location for user in users} == CITIES
    sexes = Counter(user.sex for user in users)
    assert min(sexes[Sex.MALE], sexes[Sex.FEMALE]) > 100
    for user in users:
        given = MALE_NAMES if user.sex is Sex.MALE else FEMALE_NAMES
        assert user.nickname[0] in SURNAMES
        assert user.nickname[1] in given
    for table in (Preferences, Phone, Nickname, Discovery):
        assert db.session.scalar(select(func.count()).select_from(table)) == 300


def test_each_has_the_card_that_a_change_of_their_profile_would_make(context: None) -> None:
    seed_robots(20)
    made = {row.uid: row.card for row in db.session.scalars(select(Discovery))}
    for user in everyone():
        refresh_discovery_row(user)
    assert {row.uid: row.card for row in db.session.scalars(select(Discovery))} == made
    assert len(set(made.values())) == 20


def test_every_city_gets_its_share_of_both_sexes(context: None) -> None:
    seed_robots(90, seed=1)
    seed_robots(70, seed=2)
    shares = Counter((user.location, user.sex) for user in everyone())
    assert shares == {(city, sex): 10 for city in CITIES for sex in Sex}


def test_some_robots_of_every_city_show_a_badge(context: None) -> None:
    seed_robots(200, seed=1)
    badged = [user for user in everyone() if vip_status_of(user.id).level.badge["badge"]]
    assert {(user.location, user.sex) for user in badged} == {(city, sex) for city in CITIES for sex in Sex}
    assert len(badged) < 60
    assert {vip_status_of(user.id).level.level for user in badged} == {1, 3}
    # Nobody else has a level, and the badges stay.
    assert db.session.scalar(select(func.count()).select_from(Membership)) == len(badged)
    assert expire_memberships() == []


def test_running_again_adds_more(context: None) -> None:
    seed_robots(40)
    first = {traits(user) for user in everyone()}
    seed_robots(25)
    both = {traits(user) for user in everyone()}
    assert len(both) == 65
    assert first < both
    assert [int(user.phone) for user in everyone()] == list(range(21_000_000_000, 21_000_000_065))


def test_the_same_seed_gives_the_same_people(app: Flask) -> None:
    made = []
    for seed in (5, 5, 6, None, None):
        wipe(app)
        with app.app_context():
            seed_robots(30, seed=seed)
            seed_robots(10, seed=seed)
            made.append([traits(user) for user in everyone()])
    assert made[0] == made[1]
    assert made[0] != made[2]
    assert made[3] != made[4]
    # The second run is not the first one over again.
    assert [person[3:] for person in made[0][:10]] != [person[3:] for person in made[0][30:]]


def test_names_stay_new_and_seeding_stays_quick_when_the_pools_run_out(context: None) -> None:
    before = time.monotonic()
    told: list[int] = []
    seed_robots(7_000, seed=3, progress=told.append)
    assert time.monotonic() - before < 30
    assert sum(told) == 7_000
    assert len(told) > 1
    names = list(db.session.scalars(select(User.nickname)))
    assert len(names) == len(set(names)) == 7_000
    assert any(name[-1].isdigit() for name in names)
    assert max(map(len, names)) <= 32


def test_a_name_that_a_person_has_is_left_to_them(people: People, app: Flask) -> None:
    with app.app_context():
        seed_robots(5, seed=1)
        taken = [user.nickname for user in everyone()]
    wipe(app)
    for name in taken:
        people.add(nickname=name)
    with app.app_context():
        seed_robots(5, seed=1)
        found = [user.nickname for user in everyone() if user.is_robot]
    assert not set(found) & set(taken)
    assert len(set(found)) == 5


def test_the_range_of_phones_ends(context: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeding, "LAST_PHONE", seeding.FIRST_PHONE + 9)
    seed_robots(8)
    with pytest.raises(ValueError, match="10 robots"):
        seed_robots(3)
    seed_robots(2)
    assert len(everyone()) == 10


def test_a_batch_that_fails_leaves_nothing_half_made(context: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeding, "shuffle_of", lambda uid: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        seed_robots(5)
    assert everyone() == []
    assert db.session.scalars(select(Phone)).all() == []


@pytest.mark.parametrize("number", ["21000000003", "+21000000003", "+8621000000003", "21900000000"])
def test_robots_get_no_sms_and_cannot_log_in(number: str, app: Flask) -> None:
    with app.app_context():
        seed_robots(5)
    client = app.test_client()
    asked = client.post("/api/user/verify", json={"phonenum": number})
    assert (asked.status_code, asked.json["code"]) == (422, 1005)
    login = client.post("/api/user/login", json={"phonenum": number, "vcode": "000000"})
    assert login.status_code in (400, 422)
    with app.app_context():
        assert db.session.scalars(select(SmsOutbox)).all() == []
    assert not (app.config["INSTANCE"] / "sms-outbox.jsonl").exists()


def test_robots_are_met_in_the_deck(people: People, app: Flask) -> None:
    with app.app_context():
        seed_robots(200, seed=1)
        expected = set(
            db.session.scalars(
                select(User.id).where(User.sex == Sex.FEMALE, User.location == "上海", User.is_robot.is_(True))
            )
        )
    man = people.add()
    shown = man.get("/api/social/users").json["data"]["users"]
    assert len(shown) == 5
    assert {int(card["id"]) for card in shown} <= expected
    portrait = man.client.get(shown[0]["avatar"])
    assert portrait.status_code == 200
    assert portrait.mimetype.startswith("image/")
    assert man.like(int(shown[0]["id"])).status_code == 200
