"""The deck, compared with a plain and slow idea of it, and read the ways clients read it."""

import itertools
import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from swiper.extensions import db, redis
from swiper.profiles.accounts import delete_account, set_status
from swiper.profiles.models import Status
from swiper.vip.memberships import grant
from swiper.vip.models import Membership
from tests.factories import Clock, People, Person
from tests.profiles.test_profiles import CARD

CITIES = ("上海", "北京")
NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)


def noon_of(day: date) -> datetime:
    """Twelve o'clock in Shanghai."""
    return datetime(day.year, day.month, day.day, 4, tzinfo=UTC)


def whole_deck(person: Person) -> list[int]:
    """Everyone whom the groups show, one after the other."""
    shown: list[int] = []
    for group in itertools.count():
        ids = person.deck(group)
        shown += ids
        if not ids:
            return shown
    raise AssertionError("unreachable: the groups end")


def empty_of(person: Person, group: int = 0) -> Any:
    return person.get("/api/social/users", group_num=group).json["data"]["empty"]


def modify(person: Person, **changes: Any) -> None:
    answer = person.post("/api/user/profile/modify", **changes)
    assert answer.status_code == 200, answer.json


# The slow idea of a deck.


@dataclass
class Made:
    """Somebody, with all that decides who meets whom."""

    person: Person
    sex: str
    birthday: date
    location: str
    dating_sex: str
    min_age: int
    max_age: int
    is_there: bool = True

    @property
    def id(self) -> int:
        return self.person.id


def age(birthday: date, day: date) -> int:
    """Birthdays that have been celebrated; those of 29 February count from 1 March in common years."""
    years = range(birthday.year + 1, day.year + 1)
    return sum((year, birthday.month, birthday.day) <= (day.year, day.month, day.day) for year in years)


def fits(caller: Made, other: Made, day: date) -> bool:
    return (
        other.id != caller.id
        and other.is_there
        and caller.dating_sex in (other.sex, "any")
        and other.dating_sex in (caller.sex, "any")
        and other.location == caller.location
        and caller.min_age <= age(other.birthday, day) <= caller.max_age
    )


def edge_birthday(pick: random.Random, day: date) -> date:
    """A birthday on, just before or just after a bound of ages, or on 29 February."""
    if pick.random() < 0.2:
        return date(pick.choice((1988, 1996, 2000, 2004)), 2, 29)
    years = pick.choice((19, 25, 26, 30, 31, 45, 46))
    near = date(day.year - years, day.month, min(day.day, 28))
    return near + timedelta(days=pick.randint(-2, 2))


def make_crowd(people: People, pick: random.Random, day: date, count: int) -> list[Made]:
    crowd = []
    for _ in range(count):
        low = pick.choice((18, 25, 26))
        traits: dict[str, Any] = {
            "sex": pick.choice(("male", "female")),
            "birthday": edge_birthday(pick, day),
            "location": pick.choice(CITIES),
            "dating_sex": pick.choice(("male", "female", "any")),
        }
        ages = {"min_dating_age": low, "max_dating_age": pick.choice((30, 45, 100))}
        person = people.add(vip=2, **traits, **ages)
        crowd.append(Made(person, **traits, min_age=low, max_age=ages["max_dating_age"]))
    return crowd


@pytest.mark.parametrize(
    ("seed", "day"),
    [(1, date(2026, 3, 10)), (2, date(2028, 2, 29)), (3, date(2027, 2, 28)), (4, date(2027, 3, 1))],
)
def test_the_deck_is_what_a_plain_search_finds(
    seed: int, day: date, people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, pick = Clock(monkeypatch, noon_of(day)), random.Random(seed)
    crowd = make_crowd(people, pick, day, 44)
    swiped: dict[tuple[int, int], str] = {}
    for caller in crowd:
        for other in pick.sample(crowd, 6):
            kind = pick.choice(("like", "like", "superlike", "dislike"))
            clock.advance(milliseconds=5)
            if caller.id != other.id and caller.person.swipe(kind, other.id).status_code == 200:
                swiped[caller.id, other.id] = kind
    for gone in pick.sample(crowd, 6):
        gone.is_there = False
        with app.app_context():
            if pick.random() < 0.5:
                delete_account(gone.id)
                swiped = {pair: kind for pair, kind in swiped.items() if gone.id not in pair}
            else:
                set_status(gone.id, Status.SUSPENDED)
    sizes = []
    for caller in crowd:
        if not caller.is_there:
            continue
        expected = {other.id for other in crowd if fits(caller, other, day) and (caller.id, other.id) not in swiped}
        # The dictionary has kept the order in which people swiped.
        first = [uid for (uid, sid), kind in swiped.items() if sid == caller.id and kind == "superlike"]
        second = [uid for (uid, sid), kind in swiped.items() if sid == caller.id and kind == "like"]
        head = [uid for uid in first + second if uid in expected]
        shown = whole_deck(caller.person)
        assert len(shown) == len(set(shown))
        assert set(shown) == expected
        assert shown[: len(head)] == head
        assert whole_deck(caller.person) == shown
        sizes.append(len(shown))
    assert max(sizes) > 5


# Order and pages.


def test_the_order_is_stable_within_a_day_and_differs_across_days_and_callers(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, datetime(2026, 3, 9, 16, tzinfo=UTC))
    # Two callers begin at the same place of a small circle now and then; eight do not.
    men, women = [people.add() for _ in range(8)], {people.woman().id for _ in range(30)}
    first = [whole_deck(man) for man in men]
    assert len({tuple(order) for order in first}) > 1
    assert all(set(order) == women and len(order) == 30 for order in first)
    clock.advance(hours=23, minutes=59)
    with app.app_context():
        # Not only the stored deck session says so.
        redis.client.delete(*[f"{{u:{man.id}}}:deck" for man in men])
    assert [whole_deck(man) for man in men] == first
    clock.advance(minutes=1)
    second = [whole_deck(man) for man in men]
    assert second != first
    assert all(set(order) == women and len(order) == 30 for order in second)


def sequential(man: Person, pick: random.Random) -> list[int]:
    """Swipe a whole group, then ask for the next."""
    shown = []
    for group in itertools.count():
        ids = man.deck(group)
        if not ids:
            return shown
        shown += ids
        for uid in ids:
            man.swipe(pick.choice(("like", "dislike")), uid)
    raise AssertionError("unreachable: the groups end")


def always_first(man: Person, pick: random.Random) -> list[int]:
    """Swipe a whole group, then ask for the first again."""
    shown = []
    while ids := man.deck():
        shown += ids
        for uid in ids:
            man.swipe(pick.choice(("like", "dislike")), uid)
    return shown


def prefetching(man: Person, pick: random.Random) -> list[int]:
    """Ask for the next group while some of the last one are still to be swiped."""
    shown, waiting = [], []
    for group in itertools.count():
        ids = man.deck(group)
        shown += ids
        waiting += ids
        if not ids:
            return shown
        while len(waiting) > 3:
            man.swipe(pick.choice(("like", "dislike")), waiting.pop(0))
    raise AssertionError("unreachable: the groups end")


@pytest.mark.parametrize("style", [sequential, always_first, prefetching])
def test_pages_neither_repeat_nor_skip_while_swiping(style: Any, people: People) -> None:
    man, women = people.add(vip=2), [people.woman() for _ in range(43)]
    for woman in women[:7]:
        woman.like(man)
    shown = style(man, random.Random(7))
    assert len(shown) == 43
    assert set(shown) == {woman.id for woman in women}
    assert shown[:7] == [woman.id for woman in women[:7]]


def test_the_same_group_asked_for_again_shows_the_same_people_less_those_swiped(people: People) -> None:
    man = people.add()
    for _ in range(12):
        people.woman()
    man.deck(0)
    ids = man.deck(1)
    man.dislike(ids[2])
    assert man.deck(1) == ids[:2] + ids[3:]
    assert not set(man.deck(2)) & set(ids)


def test_groups_hold_five(people: People) -> None:
    man = people.add()
    for _ in range(12):
        people.woman()
    assert [len(man.deck(group)) for group in range(4)] == [5, 5, 2, 0]


def test_a_deck_session_longer_than_one_step_is_continued(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swiper.social.deck.GROWTH", 10)
    monkeypatch.setattr("swiper.social.candidates.CHUNK", 4)
    man, women = people.add(vip=2), [people.woman() for _ in range(33)]
    for woman in women[:6]:
        woman.like(man)
    shown = sequential(man, random.Random(1))
    assert len(shown) == len(set(shown)) == 33
    assert shown[:6] == [woman.id for woman in women[:6]]


def test_somebody_who_likes_meanwhile_stands_first_on_the_next_deck_session(people: People) -> None:
    man, women = people.add(), [people.woman(vip=1) for _ in range(8)]
    order = whole_deck(man)
    late = {woman.id: woman for woman in women}
    late[order[6]].like(man)
    late[order[7]].superlike(man)
    assert whole_deck(man) == [order[7], order[6], *order[:6]]


def test_a_rewound_person_is_back_on_the_next_deck_session(people: People) -> None:
    man, woman = people.add(vip=2), people.woman()
    man.dislike(woman)
    assert man.deck() == []
    man.post("/api/social/rewind")
    assert man.deck() == [woman.id]


def test_whoever_is_gone_since_the_deck_session_began_is_not_shown(people: People, app: Flask) -> None:
    man, women = people.add(), [people.woman() for _ in range(10)]
    man.deck()
    by_id = {woman.id: woman for woman in women}
    second = man.deck(1)
    with app.app_context():
        set_status(second[0], Status.SUSPENDED)
        delete_account(second[1])
    modify(by_id[second[2]], location="北京")
    modify(by_id[second[3]], dating_sex="female")
    assert man.deck(1) == [second[4]]


@pytest.mark.parametrize("group", ["-1", "2000", "x", "1.5", ""])
def test_a_group_out_of_bounds_is_a_parameter_error(group: str, people: People) -> None:
    answer = people.add().get("/api/social/users", group_num=group)
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    assert list(answer.json["errors"]) == ["group_num"]


def test_the_last_group_allowed_is_just_empty(people: People) -> None:
    people.woman()
    answer = people.add().get("/api/social/users", group_num=1999)
    assert (answer.status_code, answer.json["data"]["users"]) == (200, [])


# Changes show at once.


def test_a_changed_preference_shows_at_once_in_the_next_group(people: People) -> None:
    man = people.add()
    for _ in range(12):
        people.woman()
    other_men = {people.add(dating_sex="male").id for _ in range(3)}
    assert len(man.deck()) == 5
    modify(man, dating_sex="male")
    assert set(man.deck(1)) == other_men
    modify(man, dating_sex="female", min_dating_age=40, max_dating_age=60)
    assert man.deck(2) == []


def test_at_midnight_the_client_goes_on_without_missing_anyone(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, datetime(2026, 3, 10, 15, 59, tzinfo=UTC))
    man, women = people.add(vip=2), {people.woman().id for _ in range(28)}
    shown = []
    for group in itertools.count():
        if group == 2:
            clock.advance(minutes=2)
        ids = man.deck(group)
        if not ids:
            break
        shown += ids
        for uid in ids:
            man.like(uid)
    assert len(shown) == len(women)
    assert set(shown) == women


def test_a_birthday_brings_somebody_into_the_deck_at_midnight(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, datetime(2026, 3, 10, 15, 59, tzinfo=UTC))
    man = people.add(min_dating_age=30)
    woman = people.woman(birthday=date(1996, 3, 11))
    assert man.deck() == []
    clock.advance(minutes=1)
    assert man.deck() == [woman.id]


def test_another_city_is_shown_only_while_the_vip_level_lasts(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    man, near, far = people.add(vip=3), people.woman(), people.woman(location="北京")
    modify(man, dating_location="北京")
    assert man.deck() == [far.id]
    with app.app_context():
        expires_at = db.session.get_one(Membership, man.id).expires_at
    clock.moment = expires_at - timedelta(seconds=1)
    assert man.deck() == [far.id]
    clock.advance(seconds=1)
    assert man.deck() == [near.id]
    with app.app_context():
        grant(man.id, 3, 1)
    assert man.deck() == [far.id]


# What a deck says.


def test_an_incomplete_profile_is_told_what_is_missing(people: People) -> None:
    person = people.add(is_complete=False)
    people.woman()
    missing = ["sex", "birthday", "location"]
    for name, value in (("sex", "male"), ("birthday", "1990-01-01"), ("location", "上海")):
        answer = person.get("/api/social/users")
        assert (answer.status_code, answer.json["code"]) == (422, 1002)
        assert sorted(answer.json["errors"]) == sorted(missing)
        modify(person, **{name: value})
        missing.remove(name)
    assert len(person.deck()) == 1


def test_a_card_shows_nothing_private(people: People) -> None:
    man = people.add()
    woman = people.woman(bio="你好", dating_location=None)
    answer = man.get("/api/social/users")
    assert answer.json["data"]["empty"] is None
    (card,) = answer.json["data"]["users"]
    assert set(card) == CARD
    assert set(card["vip"]) == {"level", "name", "badge"}
    assert card["bio"] == "你好"
    assert woman.phone[-8:] not in answer.text
    assert "1995-05" not in answer.text


def test_nobody_fits(people: People) -> None:
    assert empty_of(people.add()) == {"reason": "nobody_fits", "relax": []}


def test_all_are_swiped(people: People) -> None:
    man, woman = people.add(), people.woman()
    man.like(woman)
    assert empty_of(man) == {"reason": "all_swiped", "relax": []}


def test_the_deck_ends_though_some_were_not_swiped(people: People) -> None:
    man, woman = people.add(), people.woman()
    assert man.deck() == [woman.id]
    assert empty_of(man, 1) == {"reason": "end_of_deck", "relax": []}


@pytest.mark.parametrize(
    ("advice", "elsewhere", "own"),
    [
        ("dating_sex", {"sex": "male", "dating_sex": "male"}, {}),
        ("min_dating_age", {"sex": "female", "birthday": date(2004, 1, 1)}, {"min_dating_age": 30}),
        ("max_dating_age", {"sex": "female", "birthday": date(1970, 1, 1)}, {}),
        ("dating_location", {"sex": "female", "location": "北京"}, {}),
    ],
)
def test_the_preference_that_keeps_people_away_is_named(
    advice: str, elsewhere: dict[str, Any], own: dict[str, Any], people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, NOON)
    man = people.add(vip=3, **own)
    other = people.add(**elsewhere)
    assert empty_of(man) == {"reason": "nobody_fits", "relax": [advice]}
    man.dislike(other)
    assert empty_of(man) == {"reason": "nobody_fits", "relax": []}


def test_another_city_is_no_advice_for_those_who_may_not_choose_one(people: People) -> None:
    people.woman(location="北京")
    assert empty_of(people.add(vip=2)) == {"reason": "nobody_fits", "relax": []}


def test_a_group_whose_people_are_all_swiped_says_why_it_is_empty(people: People) -> None:
    man = people.add()
    for _ in range(7):
        people.woman()
    first = man.deck(0)
    later = man.deck(1)
    for sid in later:
        man.dislike(sid)
    assert empty_of(man, 1) == {"reason": "end_of_deck", "relax": []}
    for sid in first:
        man.dislike(sid)
    assert empty_of(man, 1) == {"reason": "all_swiped", "relax": []}
