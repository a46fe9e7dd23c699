"""Deck sessions: whatever happens between two requests, they agree with a plain and slow idea of the deck."""

import itertools
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from flask import Flask

from swiper.extensions import db, redis
from swiper.profiles.accounts import delete_account, set_status
from swiper.profiles.models import DatingSex, Status
from swiper.profiles.profile_changes import change_profile
from swiper.social.deck_session import session_key
from swiper.vip.levels import vip_status_of
from tests.factories import Clock, People, Person, at_once
from tests.social.test_deck import CITIES, Made, fits, whole_deck

SHANGHAI_NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)
BIRTHDAYS = (date(1995, 5, 20), date(1996, 3, 11), date(1980, 1, 1), date(2004, 2, 29), date(1999, 12, 31))


@pytest.fixture(autouse=True)
def generous(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotas are not what is looked at here."""
    for name in ("LIKES_PER_DAY", "SUPERLIKES_PER_DAY", "REWINDS_PER_DAY"):
        monkeypatch.setitem(app.config, name, 1_000)
    monkeypatch.setitem(app.config, "REWIND_WINDOW_SECONDS", 90 * 86_400)


class World:
    """One caller among others, and what everyone has done."""

    def __init__(self, people: People, pick: random.Random, clock: Clock) -> None:
        self.people, self.pick, self.clock = people, pick, clock
        self.crowd: list[Made] = []
        self.swiped: dict[tuple[int, int], str] = {}
        self.me = self.join(sex="male", location=CITIES[0], dating_sex="any")
        # Who fits since the walk that found the rest began; such people need not be shown at once.
        self.late: set[int] = set()
        self.criteria: Any = None
        self.begin(0)

    # What the deck should be.

    def expected(self) -> set[int]:
        day = (self.clock.moment.timestamp() + 8 * 3600) // 86_400
        today = date.fromordinal(int(day) + date(1970, 1, 1).toordinal())
        return {o.id for o in self.crowd if fits(self.me, o, today) and (self.me.id, o.id) not in self.swiped}

    def head(self) -> list[int]:
        """Superlikers, then likers, the longest waiting first; the dictionary has kept that order."""
        wanted = self.expected()
        waiting = [(kind, uid) for (uid, sid), kind in self.swiped.items() if sid == self.me.id and uid in wanted]
        return [uid for first in ("superlike", "like") for kind, uid in waiting if kind == first]

    def current_criteria(self) -> Any:
        me, day = self.me, (self.clock.moment.timestamp() + 8 * 3600) // 86_400
        return me.sex, me.location, me.dating_sex, me.min_age, me.max_age, day

    # What happens.

    def join(self, **traits: Any) -> Made:
        pick = self.pick
        made = {
            "sex": pick.choice(("male", "female")),
            "birthday": pick.choice(BIRTHDAYS),
            "location": pick.choice((*CITIES, *CITIES[:1] * 4)),
            "dating_sex": pick.choice(("male", "any", "any")),
        } | traits
        person = self.people.add(vip=2, **made)
        other = Made(person, **made, min_age=18, max_age=45)
        self.crowd.append(other)
        return other

    def others(self, *, is_there: bool = True) -> list[Made]:
        return [other for other in self.crowd if other is not self.me and other.is_there is is_there]

    def change(self, other: Made, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(other, {"min_dating_age": "min_age", "max_dating_age": "max_age"}.get(name, name), value)
        if "dating_sex" in changes:
            changes["dating_sex"] = DatingSex(changes["dating_sex"])
        with self.people.app.app_context():
            change_profile(other.id, changes, vip_status_of(other.id))
            db.session.remove()

    def swipe(self, who: Made, whom: Made, kind: str) -> None:
        if (who.id, whom.id) not in self.swiped:
            assert who.person.swipe(kind, whom.id).status_code == 200
            self.swiped[who.id, whom.id] = kind

    def rewind(self, who: Made) -> None:
        mine = [pair for pair in self.swiped if pair[0] == who.id]
        answer = who.person.post("/api/social/rewind")
        assert answer.status_code == (200 if mine else 409)
        if mine:
            assert answer.json["data"]["sid"] == str(mine[-1][1])
            del self.swiped[mine[-1]]

    def leave(self, other: Made) -> None:
        other.is_there = False
        with self.people.app.app_context():
            if self.pick.random() < 0.3:
                delete_account(other.id)
                self.crowd.remove(other)
                self.swiped = {pair: kind for pair, kind in self.swiped.items() if other.id not in pair}
            else:
                set_status(other.id, Status.SUSPENDED)
            db.session.remove()

    def admit(self, other: Made) -> None:
        other.is_there = True
        with self.people.app.app_context():
            set_status(other.id, Status.ACTIVE)
            db.session.remove()
        other.person.client = self.people.client_of(other.id)

    def step(self) -> None:
        """Something happens, and nobody has asked for the deck meanwhile."""
        before, own = self.expected(), {sid for uid, sid in self.swiped if uid == self.me.id}
        self.clock.advance(milliseconds=5)
        self.pick.choices(list(EVENTS), list(EVENTS.values()))[0](self)
        back = own - {sid for uid, sid in self.swiped if uid == self.me.id}
        self.late |= self.expected() - before - back

    def swipe_somebody(self) -> None:
        self.swipe(self.me, self.pick.choice(self.others()), self.pick.choice(("like", "superlike", "dislike")))

    def swipe_a_group(self) -> None:
        shown = set(self.pick.choice(list(self.shown.values()) or [[]])) & self.expected()
        for other in [other for other in self.others() if other.id in shown]:
            self.clock.advance(milliseconds=5)
            self.swipe(self.me, other, "dislike")

    def rewind_own(self) -> None:
        self.rewind(self.me)

    def be_swiped(self) -> None:
        self.swipe(self.pick.choice(self.others()), self.me, self.pick.choice(("like", "superlike", "dislike")))

    def be_rewound(self) -> None:
        if fans := [other for other in self.others() if (other.id, self.me.id) in self.swiped]:
            self.rewind(self.pick.choice(fans))

    def lose_somebody(self) -> None:
        if len(self.others()) > 15:
            self.leave(self.pick.choice(self.others()))

    def admit_somebody(self) -> None:
        if gone := self.others(is_there=False):
            self.admit(self.pick.choice(gone))

    def change_somebody(self) -> None:
        name, values = self.pick.choice(
            (("location", CITIES), ("birthday", BIRTHDAYS), ("dating_sex", ("male", "female", "any")))
        )
        self.change(self.pick.choice(self.others()), **{name: self.pick.choice(values)})

    def welcome(self) -> None:
        if len(self.others()) < 40:
            self.join()

    def change_criteria(self) -> None:
        name, values = self.pick.choice(
            (("dating_sex", ("any", "female")), ("max_dating_age", (30, 45)), ("location", CITIES))
        )
        self.change(self.me, **{name: self.pick.choice(values)})

    def sleep(self) -> None:
        self.clock.advance(hours=24)

    # What is asked for.

    def begin(self, group: int) -> None:
        self.base, self.shown, self.is_shifted = group, dict[int, list[int]](), False

    def ask(self, group: int) -> list[int]:
        """One group, after which everything is said that holds of any."""
        if self.current_criteria() != self.criteria:
            # Where there was no deck session, none was interrupted.
            self.begin(group if self.criteria else 0)
            self.criteria = self.current_criteria()
            self.late.clear()
        elif group == 0:
            self.begin(0)
        shown, expected = self.me.person.deck(group), self.expected()
        assert len(shown) == len(set(shown)) <= 5
        assert set(shown) <= expected
        if group == self.base and not self.shown:
            head = self.head()
            assert shown[: len(head)] == head[:5]
            if len(shown) < 5:
                assert set(shown) == expected
                self.late.clear()
        if group in self.shown:
            stay = [uid for uid in self.shown[group] if uid in expected]
            # Where nobody is left of a group, later ones may come forward.
            self.is_shifted |= not stay
            assert self.is_shifted or [uid for uid in shown if uid in stay] == stay
        elif group > max(self.shown, default=-1) and not self.is_shifted:
            assert not set(shown) & set(itertools.chain(*self.shown.values()))
        self.shown[group] = shown
        return shown

    def ask_all(self) -> None:
        """Group after group to the end: everybody, each once."""
        groups = []
        while not groups or groups[-1]:
            groups.append(self.ask(len(groups)))
        found, expected = [uid for group in groups for uid in group], self.expected()
        assert len(found) == len(set(found))
        assert expected - set(found) <= self.late
        if len(found) < 5:
            assert set(found) == expected


EVENTS = {
    World.swipe_somebody: 6,
    World.swipe_a_group: 3,
    World.rewind_own: 4,
    World.be_swiped: 6,
    World.be_rewound: 2,
    World.lose_somebody: 3,
    World.admit_somebody: 3,
    World.change_somebody: 4,
    World.welcome: 4,
    World.change_criteria: 0.5,
    World.sleep: 0.5,
}


@pytest.mark.parametrize("seed", range(4))
def test_every_group_agrees_with_a_plain_search_whatever_happens_in_between(
    seed: int, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    pick = random.Random(seed)
    if seed % 3:
        # The walk is continued often.
        monkeypatch.setattr("swiper.social.deck.GROWTH", 4 * (seed % 3))
        monkeypatch.setattr("swiper.social.candidates.CHUNK", 3)
    world = World(people, pick, Clock(monkeypatch, SHANGHAI_NOON))
    for _ in range(30):
        world.join()
    for _ in range(120):
        asked = pick.random()
        if asked < 0.1:
            world.ask_all()
        elif asked < 0.25:
            world.ask(0)
        elif asked < 0.4:
            world.ask(max(world.shown, default=0) + 1)
        elif asked < 0.47:
            world.ask(pick.randrange(5))
        else:
            world.step()
    world.ask_all()


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swiper.social.deck.GROWTH", 10)
    monkeypatch.setattr("swiper.social.candidates.CHUNK", 4)


@pytest.mark.parametrize("swiped", [slice(5, 20), slice(10, 15), slice(15, 30)])
def test_later_groups_that_were_swiped_on_an_earlier_deck_session_do_not_end_the_deck(
    swiped: slice, people: People
) -> None:
    man, women = people.add(vip=2), {people.woman().id for _ in range(35)}
    order = whole_deck(man)
    for uid in order[swiped]:
        man.dislike(uid)
    assert whole_deck(man) == [uid for uid in order if uid not in order[swiped]]
    assert set(order) == women


@pytest.mark.usefixtures("small_steps")
def test_later_groups_that_left_since_the_deck_session_began_do_not_end_the_deck(people: People, app: Flask) -> None:
    man = people.add(vip=2)
    for _ in range(24):
        people.woman()
    order = whole_deck(man)
    shown = man.deck(0)
    with app.app_context():
        for uid in order[5:15]:
            set_status(uid, Status.SUSPENDED)
    for group in itertools.count(1):
        ids = man.deck(group)
        if not ids:
            break
        shown += ids
    assert shown == order[:5] + order[15:]


def rewinding_style(man: Person, undone: Callable[[int], bool]) -> Iterator[int]:
    """Whoever is shown to a client that swipes each group but for the last of it, and takes some swipes back."""
    for group in itertools.count():
        ids = man.deck(group)
        if not ids:
            return
        yield from ids
        for number, uid in enumerate(ids[:-1]):
            assert man.dislike(uid).status_code == 200
            if undone(number):
                assert man.post("/api/social/rewind").status_code == 200


@pytest.mark.parametrize("is_liked", [False, True])
def test_a_rewind_in_the_middle_of_a_deck_session_neither_skips_nor_repeats_anyone(
    is_liked: bool, people: People
) -> None:
    man, women = people.add(vip=2), [people.woman() for _ in range(38)]
    for woman in women[: 12 * is_liked]:
        woman.like(man)
    shown = list(rewinding_style(man, lambda number: number == 3))
    assert len(shown) == len(set(shown)) == 38


def test_a_rewound_person_who_had_left_the_deck_session_is_shown_again_at_its_next_beginning(people: People) -> None:
    man = people.add(vip=2)
    for _ in range(20):
        people.woman()
    order = whole_deck(man)
    man.dislike(order[0])
    # This leaves them out.
    assert man.deck() == order[1:6]
    assert man.deck(1) == order[6:11]
    man.post("/api/social/rewind")
    assert man.deck(2) == order[11:16]
    assert set(whole_deck(man)) == set(order)


def test_two_first_groups_at_the_same_moment_show_one_deck_session(people: People) -> None:
    man, women = people.add(vip=2), [people.woman() for _ in range(26)]
    for round_ in range(8):
        women[round_].like(man)
        first, second = at_once([man_of(people, man).deck for _ in range(2)])
        assert first == second
        rest = [uid for group in range(1, 7) for uid in man.deck(group)]
        assert len(first + rest) == len(set(first + rest)) == 26 - round_
        man.dislike(first[0])


def test_a_group_fetched_ahead_does_not_lose_the_deck_session_that_begins_meanwhile(people: People, app: Flask) -> None:
    man, women = people.add(vip=2), {people.woman().id for _ in range(30)}
    gone: set[int] = set()
    for round_ in range(6):
        first = man.deck()
        man.dislike(first[round_ % 5])
        gone.add(first[round_ % 5])
        other = man_of(people, man)
        again, _ = at_once([man.deck, lambda other=other: other.deck(1)])
        rest = [uid for group in range(1, 8) for uid in man.deck(group)]
        assert len(again + rest) == len(set(again + rest))
        assert set(again + rest) == women - gone
    with app.app_context():
        assert redis.client.exists(session_key(man.id))


def man_of(people: People, person: Person) -> Person:
    """The same person on another device."""
    return Person(person.id, person.phone, people.client_of(person.id))


def test_a_clock_that_goes_back_across_midnight_does_not_change_the_order(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, datetime(2026, 3, 10, 15, 59, 30, tzinfo=UTC))
    man = people.add()
    for _ in range(25):
        people.woman()
    # The order of two days in a row is the same where nobody stands between their starts: about one pair of days in 13.
    for _ in range(8):
        before = whole_deck(man)
        clock.advance(minutes=1)
        order = whole_deck(man)
        if order != before:
            break
        clock.advance(days=1, minutes=-1)
    assert order != before
    shown = []
    for group in range(5):
        # Two machines answer in turns, the one's clock a minute behind.
        clock.advance(minutes=1 if group % 2 else -1)
        shown += man.deck(group)
    assert shown == order == whole_deck(man)
