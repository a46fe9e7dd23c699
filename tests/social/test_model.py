"""Whatever people do, and in whatever order, every answer and every table is what a model in dictionaries says.

`MODEL_STEPS` says how many steps are taken (`make chaos` takes 10,000); where `MODEL_REPORT` names a file, what was
done is written there as JSON. The same steps are taken in every run. `MODEL_SHRINK=1` looks for the shortest way to a
difference, which takes minutes.
"""

import itertools
import json
import os
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select, update

from swiper.auth.login import find_or_create
from swiper.extensions import db, redis
from swiper.profiles.accounts import set_status
from swiper.profiles.models import DatingSex, Sex, Status, Tombstone
from swiper.profiles.profile_changes import change_profile
from swiper.profiles.profiles import find_account
from swiper.social import ranking, ranking_rebuild
from swiper.social.deck import show_deck
from swiper.social.friends import list_friends, matches_to_repair
from swiper.social.likers import list_likers
from swiper.social.models import Friend, LikeIn, Pair, Swipe
from swiper.vip.levels import quotas_left, vip_status_of
from swiper.vip.memberships import expire_memberships
from swiper.vip.models import Membership, Quota
from tests.conftest import wipe
from tests.factories import Clock, People, Person
from tests.social.model import BANNED, LIMITS, LOGIN, MAY_REWIND, OK, SHANGHAI, Answer, World

STEPS = int(os.environ.get("MODEL_STEPS", "300"))
STEPS_AN_EXAMPLE = 50
SECONDS_A_STEP = 0.5
CROWD = 4
MORNING = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
NOBODY = -1
# What must have been answered at least once in a long run, or it has shown little.
LONG_RUN = 2_000
ANSWERS = {
    "swipe": {0, 1004, 1005, 1006, 1008, 1009, 1010},
    "rewind": {0, 1004, 1005, 1006, 1007, 1010},
    "unfriend": {0, 1009, 1010},
    "delete": {0},
}

SETTINGS = settings(
    stateful_step_count=STEPS_AN_EXAMPLE,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink] if os.environ.get("MODEL_SHRINK") else [Phase.generate],
)

# What the simplest example takes stands first.
someone = st.integers(0, CROWD - 1)
# The others by their distance in the circle; then somebody who is gone, or never was; then oneself.
other = st.sampled_from([*range(1, CROWD), NOBODY, 0])
kind = st.sampled_from(["like", "superlike", "dislike", "superlike"])
level = st.sampled_from([3, 2, 1])
# How often each is taken, its name, and what it is called with.
CHOICES: list[tuple[int, str, tuple[st.SearchStrategy[Any], ...]]] = [
    (10, "swipe", (someone, other, kind)),
    (8, "answer_a_like", (someone, kind)),
    (5, "rewind_the_latest", (st.sampled_from([0] * 6 + [299, 300]),)),
    (2, "rewind", (someone, st.none() | other)),
    (1, "unfriend", (someone, other)),
    (2, "unfriend_a_friend", (someone, st.booleans())),
    (4, "buy", (someone, level, st.integers(1, 2))),
    (1, "come_to_the_end_of_a_level", (st.sampled_from([-1, 1]), st.booleans())),
    (1, "wait", (st.integers(1, 9),)),
    (1, "wait_for_midnight", (st.sampled_from([-100, -1, 0, 1]),)),
    (1, "swipe_and_rewind_around_midnight", (someone, kind, st.booleans())),
    (1, "delete", (someone,)),
    (2, "suspend_or_admit", (someone,)),
    (1, "rebuild_the_ranking", (st.booleans(),)),
    (1, "sweep", ()),
]
# Rules of their own would be switched off together in most examples, and the rest be equally frequent.
steps = st.one_of([st.tuples(st.just(name), *drawn) for weight, name, drawn in CHOICES for _ in range(weight)])


class Service(RuleBasedStateMachine):
    """Four people of one city; each does with the service what the model is asked about first."""

    app: Flask
    tally: Counter[tuple[str, int]]

    def __init__(self) -> None:
        super().__init__()
        wipe(self.app)
        self.patch = pytest.MonkeyPatch()
        self.clock = Clock(self.patch, MORNING)
        # Ids in an order of their own, so that the older of two has the lower id in half of the pairs only.
        self.patch.setattr("swiper.auth.login.new_id", map((10**15).__add__, shuffled()).__next__)
        self.world = World(MORNING)
        self.people = People(self.app)
        self.crowd = [self.join(f"+8613800138{number:03d}") for number in range(CROWD)]
        self.gone: list[Person] = []
        self.looked_at = itertools.cycle(range(CROWD))

    def teardown(self) -> None:
        self.patch.undo()

    def join(self, phone: str) -> Person:
        """A first login, and a profile that fits everyone else's wishes."""
        profile = {"sex": Sex.MALE, "birthday": datetime(2000, 1, 1, tzinfo=UTC).date(), "location": "上海"}
        with self.app.app_context():
            uid = find_or_create(phone).id
            assert uid not in self.world.members
            change_profile(uid, profile | {"dating_sex": DatingSex.MALE}, vip_status_of(uid))
        self.world.join(uid, phone)
        return Person(uid, phone, self.people.client_of(uid))

    def whom(self, one: int, other: int) -> int:
        """The id of somebody at a distance, or of somebody who is gone."""
        if other == NOBODY:
            return self.gone[-1].id if self.gone else 1
        return self.crowd[(one + other) % CROWD].id

    def expect(self, action: str, answer: Any, expected: Answer) -> None:
        """The answer is the one that the model predicts."""
        code, data = answer.json["code"], answer.json["data"]
        # Until when somebody is suspended is told, and is no part of the model.
        told = code, None if code == BANNED else data
        assert told == expected, f"{action}: {told} instead of {expected}"
        assert (answer.status_code == 200) is (expected[0] == OK)
        self.tally[action, expected[0]] += 1

    def tick(self, **delta: float) -> None:
        self.clock.advance(**delta)
        self.world.now = self.clock.moment

    def jump(self, moment: datetime) -> None:
        if moment > self.world.now:
            self.tick(seconds=(moment - self.world.now).total_seconds())

    # Steps.

    @initialize(levels=st.lists(level, min_size=CROWD, max_size=CROWD))
    def begin(self, levels: list[int]) -> None:
        for number, level in enumerate(levels):
            self.buy(number, level, 1 + number)

    @rule(step=steps)
    def take(self, step: tuple[Any, ...]) -> None:
        getattr(self, step[0])(*step[1:])

    def swipe(self, one: int, other: int, kind: str) -> None:
        self.swipe_on(self.crowd[one], self.whom(one, other), kind)

    def answer_a_like(self, one: int, kind: str) -> None:
        for person in self.crowd[one:] + self.crowd[:one]:
            for other, _, answer in self.world.likers_of(person.id):
                if answer is None:
                    self.swipe_on(person, other, kind)
                    return

    def swipe_on(self, one: Person, sid: int, kind: str) -> None:
        self.expect("swipe", one.swipe(kind, sid), self.world.swipe(one.id, kind, sid))

    def rewind_the_latest(self, seconds: int) -> None:
        """By somebody who may, where there is one."""
        self.tick(seconds=seconds)
        swipes = [
            (not self.world.refusal(uid, MAY_REWIND), when, uid) for (uid, _), (_, when) in self.world.swipes.items()
        ]
        if swipes:
            self.rewind([person.id for person in self.crowd].index(max(swipes)[2]), None)

    def rewind(self, one: int, other: int | None) -> None:
        person = self.crowd[one]
        if other is None:
            self.expect("rewind", person.post("/api/social/rewind"), self.world.rewind(person.id, None))
        else:
            sid = self.whom(one, other)
            answer = person.post("/api/social/rewind", sid=str(sid))
            self.expect("rewind", answer, self.world.rewind(person.id, sid))

    def unfriend(self, one: int, other: int) -> None:
        self.part(self.crowd[one], self.whom(one, other))

    def unfriend_a_friend(self, number: int, side: bool) -> None:
        if self.world.friends:
            friends = sorted(self.world.friends)[number % len(self.world.friends)]
            one = next(person for person in self.crowd if person.id == friends[side])
            self.part(one, friends[not side])

    def part(self, one: Person, sid: int) -> None:
        answer = one.post("/api/social/unfriend", sid=str(sid))
        self.expect("unfriend", answer, self.world.unfriend(one.id, sid))

    def buy(self, one: int, level: int, months: int) -> None:
        person = self.crowd[one]
        if self.world.is_active(person.id):
            order = person.post("/api/vip/orders", level=level, months=months).json["data"]
            assert person.post(order["payment"]["url"]).status_code == 200
            self.world.buy(person.id, level, months)

    def come_to_the_end_of_a_level(self, seconds: int, is_swept: bool) -> None:
        ends = [member.until for member in self.world.members.values() if member.until]
        if ends:
            self.jump(min(ends) + timedelta(seconds=seconds))
        if is_swept:
            with self.app.app_context():
                expired = set(expire_memberships())
            members = self.world.members.items()
            assert expired == {uid for uid, member in members if member.until and member.until <= self.world.now}
            for uid in expired:
                self.world.members[uid].until = None

    def wait(self, minutes: int) -> None:
        self.tick(minutes=minutes)

    def wait_for_midnight(self, seconds: int) -> None:
        self.jump(self.world.midnight() + timedelta(seconds=seconds))

    def swipe_and_rewind_around_midnight(self, one: int, kind: str, is_last_gone: bool) -> None:
        """One swipe before it, others after, and some taken back; chance alone would hardly ever do this."""
        self.jump(self.world.midnight() - timedelta(seconds=1))
        others = sorted(self.world.deck_of(self.crowd[one].id)[1])[:2]
        for other in others:
            self.swipe_on(self.crowd[one], other, kind)
            self.tick(seconds=2)
        if others and is_last_gone:
            self.delete([person.id for person in self.crowd].index(others[-1]))
        for _ in range(2):
            self.rewind(one, None)

    def delete(self, one: int) -> None:
        person = self.crowd[one]
        expected = self.world.delete(person.id, person.phone)
        self.expect("delete", person.delete_account(), expected)
        if expected[0] == OK:
            assert person.get("/api/user/profile").json["code"] == LOGIN
            self.gone.append(person)
            self.crowd[one] = self.join(person.phone)

    def suspend_or_admit(self, one: int) -> None:
        person, member = self.crowd[one], self.world.members[self.crowd[one].id]
        with self.app.app_context():
            set_status(person.id, Status.ACTIVE if member.is_suspended else Status.SUSPENDED)
        member.is_suspended = not member.is_suspended
        if member.is_suspended:
            assert person.get("/api/user/profile").json["code"] == LOGIN
            person.client = self.people.client_of(person.id)
            assert person.get("/api/user/profile").json["code"] == BANNED

    def rebuild_the_ranking(self, is_lost: bool) -> None:
        with self.app.app_context():
            if is_lost:
                redis.client.delete(ranking.KEY, ranking_rebuild.BUILT_KEY)
            assert ranking_rebuild.rebuild_ranking() == len(self.world.scores())

    def sweep(self) -> None:
        with self.app.app_context():
            assert matches_to_repair() == []
            db.session.execute(update(Tombstone).values(deleted_at=MORNING - timedelta(hours=1)))
            db.session.commit()
        self.app.extensions["celery"].tasks["social.sweep_deleted"]()

    # What must hold after each of them.

    @invariant()
    def agree(self) -> None:
        self.tick(seconds=1)
        with self.app.app_context():
            self.compare_tables()
            self.compare_ranking()
            self.compare_views(self.crowd[next(self.looked_at)].id)
        self.tally["steps", 0] += 1

    def compare_tables(self) -> None:
        world = self.world
        swipes = {(uid, sid): (kind.value, when) for uid, sid, kind, when in rows(Swipe)}
        assert swipes == world.swipes
        likes = {(uid, sid): (is_super, is_answered, when) for sid, uid, is_super, is_answered, when in rows(LikeIn)}
        assert likes == {
            (uid, sid): (int(kind == "superlike"), int((sid, uid) in world.swipes), when)
            for (uid, sid), (kind, when) in world.swipes.items()
            if kind != "dislike" and (uid, sid) not in world.brought_back
        }
        masks = {(uid1, uid2): mask for uid1, uid2, mask, _ in rows(Pair)}
        assert masks == {key: world.mask(key) for key in world.met}
        friends = {(uid1, uid2): since for uid1, uid2, since in rows(Friend)}
        assert friends == world.friends
        used = {(uid, kind.value, day): n for uid, kind, day, n in rows(Quota) if n and day == world.day()}
        assert used == {
            key: n for key, n in world.used.items() if n and key[2] == world.day() and key[0] in world.members
        }
        held = {uid: (level, until) for uid, level, until in rows(Membership) if until > world.now}
        assert {uid: level for uid, (level, _) in held.items()} == {
            uid: member.bought for uid, member in world.members.items() if world.level(uid)
        }
        assert all(is_near(until, world.members[uid].until) for uid, (_, until) in held.items())
        for uid, (_, until) in held.items():
            # What was rounded once is not counted again after the next purchase.
            world.members[uid].until = until

    def compare_ranking(self) -> None:
        scores = self.world.scores()
        assert dict(redis.client.zrange(ranking.KEY, 0, -1, withscores=True)) == {
            str(uid).encode(): score for uid, score in scores.items()
        }
        places = ranking.top_people()
        assert {place["user"]["id"]: place["score"] for place in places} == {
            uid: score for uid, score in scores.items() if self.world.is_active(uid)
        }
        shown = [(place["rank"], place["score"]) for place in places]
        assert shown == list(enumerate(sorted((score for _, score in shown), reverse=True), 1))

    def compare_views(self, uid: int) -> None:
        """What one person is shown."""
        world, account = self.world, find_account(uid)
        assert account is not None
        assert (account.status is Status.ACTIVE) is world.is_active(uid)
        assert ids(list_friends(uid, 1, 100)) == (world.friends_of(uid), len(world.friends_of(uid)))
        likers = list_likers(uid, 1, 100)
        shown = [(item["id"], item["is_superlike"], item["answer"]) for item in likers["items"]]
        assert (shown, likers["total"]) == (world.likers_of(uid), len(shown))
        head, rest = world.deck_of(uid)
        deck, _ = show_deck(account, account.vip_status, 0)
        assert (deck[: len(head)], set(deck[len(head) :]), len(deck)) == (head, rest, len(head) + len(rest))
        assert account.vip_status.level.level == world.level(uid)
        quotas = quotas_left(uid, account.vip_status, world.day())
        today = {kind: world.used[uid, kind, world.day()] for kind in LIMITS}
        assert {kind: quota["used"] for kind, quota in quotas.items()} == today
        assert {kind: quota["left"] == 0 for kind, quota in quotas.items()} == {
            kind: world.is_used_up(uid, kind) for kind in LIMITS
        }


def rows(model: Any) -> Any:
    """What is stored, column by column."""
    return db.session.execute(select(*model.__table__.columns))


def ids(page: dict[str, Any]) -> tuple[list[int], int]:
    return [item["id"] for item in page["items"]], page["total"]


def shuffled() -> Any:
    """The first thousand numbers in a fixed disorder."""
    return iter(random.Random(8).sample(range(1000), 1000))


def is_near(stored: datetime, expected: datetime | None) -> bool:
    """Credit is counted in whole cents, and months have 28 to 31 days; tests/vip/test_credit.py is exact."""
    return expected is not None and abs(stored - expected) < timedelta(days=4)


@pytest.mark.timeout(max(300, STEPS * SECONDS_A_STEP))
def test_every_answer_and_every_table_is_what_the_model_says(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, limit in LIMITS.items():
        monkeypatch.setitem(app.config, f"{kind.upper()}S_PER_DAY", limit)
    assert app.config["TIMEZONE"] == str(SHANGHAI)
    monkeypatch.setattr(ranking_rebuild, "SETTLE_SECONDS", 0)
    tally: Counter[tuple[str, int]] = Counter()
    try:
        for number in itertools.count():
            left = STEPS - tally["steps", 0]
            if left <= 0:
                break
            # Hypothesis goes over from new examples to variations of old ones after ten, so there are many short runs.
            machine = seed(number)(type("Machine", (Service,), {"app": app, "tally": tally}))
            run_state_machine_as_test(
                machine, settings=settings(SETTINGS, max_examples=min(10, -(-left // STEPS_AN_EXAMPLE)))
            )
    finally:
        report(tally)
    if STEPS >= LONG_RUN:
        assert {action: {code for done, code in tally if done == action} for action in ANSWERS} == ANSWERS


def report(tally: Counter[tuple[str, int]]) -> None:
    """Write down what was done, also where it ended in a difference."""
    if name := os.environ.get("MODEL_REPORT"):
        answers = {f"{action} {code}": count for (action, code), count in sorted(tally.items()) if action != "steps"}
        Path(name).write_text(json.dumps({"steps": tally["steps", 0], "answers": answers}, indent=2))
