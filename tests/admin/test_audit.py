"""Each change has its entry in the log, and each entry its change."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from swiper.admin import changes, second_factor
from swiper.admin.audit import Action, list_actions, record
from swiper.admin.models import OperatorAction
from swiper.admin.queries import audit as audit_queries
from swiper.clock import now
from swiper.extensions import db
from swiper.profiles.models import Sex
from tests.admin.authenticators import code_of, set_up
from tests.factories import People, at_once
from tests.security.state import difference, snapshot

WINDOW = {"starts_at": now(), "ends_at": now() + timedelta(days=1)}


class World:
    """Somebody to change, a ban to lift, a sale to close."""

    def __init__(self, app: Flask, people: People) -> None:
        self.actor, self.person, self.other = people.add().id, people.add(), people.add()
        with app.app_context():
            changes.grant_role(None, self.other.phone)
            changes.ban(None, "192.0.2.1", "", None)
            self.sale = changes.add_sale(None, "sale", level=1, months=1, price_cents=1, stock=1, **WINDOW).id
            changes.suspend(None, self.other.id, "", None)
            set_up(self.other.id)
            set_up(self.actor)
            second_factor.begin(self.person.id)
            db.session.remove()


CHANGES: dict[Action, Callable[[World], Any]] = {
    Action.GRANT_ROLE: lambda world: changes.grant_role(world.actor, world.person.phone),
    Action.REVOKE_ROLE: lambda world: changes.revoke_role(world.actor, world.other.phone),
    Action.SUSPEND: lambda world: changes.suspend(world.actor, world.person.id, "spam", None),
    Action.RESUME: lambda world: changes.resume(world.actor, world.other.id),
    Action.CORRECT_PROFILE: lambda world: changes.correct_profile(world.actor, world.person.id, Sex.FEMALE, None),
    Action.SHOW_PHONE: lambda world: changes.reveal_phone(world.actor, world.person.id),
    Action.FIND_BY_PHONE: lambda world: changes.find_person_by_phone(world.actor, world.person.phone),
    Action.BAN: lambda world: changes.ban(world.actor, "203.0.113.9", "spam", None),
    Action.LIFT_BAN: lambda world: changes.lift_ban(world.actor, "192.0.2.1"),
    Action.CHANGE_LEVEL: lambda world: changes.change_level(world.actor, 1, "Bronze", 700, ["vipflag"]),
    Action.ADD_SALE: lambda world: changes.add_sale(
        world.actor, "new", level=1, months=1, price_cents=1, stock=1, **WINDOW
    ),
    Action.CLOSE_SALE: lambda world: changes.close_sale(world.actor, world.sale),
    Action.OPEN_DESK: lambda world: changes.check_second_factor(world.actor, code_of(world.actor, steps=1)),
    Action.SET_SECOND_FACTOR: lambda world: changes.set_second_factor(world.person.id, code_of(world.person.id)),
    Action.RESET_SECOND_FACTOR: lambda world: changes.reset_second_factor(world.actor, world.other.phone),
    Action.OPEN_PERSON: lambda world: changes.open_person(world.actor, world.person.id),
}
# Nothing changes but the log: what was done was to look.
LOOKS = {Action.SHOW_PHONE, Action.FIND_BY_PHONE, Action.OPEN_PERSON}
# The states are secrets, or are told by the action's name.
STATELESS = {*LOOKS, Action.SET_SECOND_FACTOR, Action.RESET_SECOND_FACTOR}


@pytest.fixture
def world(app: Flask, people: People) -> World:
    return World(app, people)


def run(app: Flask, work: Callable[[World], Any], world: World) -> None:
    with app.app_context():
        try:
            work(world)
        finally:
            db.session.remove()


def test_every_action_is_tried_here() -> None:
    assert set(CHANGES) == set(Action)


@pytest.mark.parametrize("action", Action)
def test_each_change_writes_one_line_with_actor_and_both_states(app: Flask, world: World, action: Action) -> None:
    before = snapshot(app)
    run(app, CHANGES[action], world)
    changed = difference(before, snapshot(app))
    assert "operator_actions" in changed
    assert (len(changed) > 1) is (action not in LOOKS)
    with app.app_context():
        (entry,) = list_actions(10, action=action.value)[:1]
        assert entry.uid in (world.actor, world.person.id)
        assert entry.nickname
        assert entry.target
        assert (entry.before != entry.after) is (action not in STATELESS)
        assert abs(entry.at - now()) < timedelta(minutes=1)


class Fault(Exception):
    """What goes wrong between the change and its commit."""


@pytest.mark.parametrize("action", Action)
def test_a_fault_after_the_change_leaves_neither_change_nor_entry(
    app: Flask, world: World, action: Action, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        record(*args, **kwargs)
        raise Fault()

    monkeypatch.setattr(changes, "record", fail)
    before = snapshot(app)
    with pytest.raises(Fault):
        run(app, CHANGES[action], world)
    assert difference(before, snapshot(app)) == []


@pytest.mark.parametrize("action", Action)
def test_an_entry_that_cannot_be_written_leaves_no_change(
    app: Flask, world: World, action: Action, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("INSERT", None, Exception("disk full"))

    monkeypatch.setattr(audit_queries, "OperatorAction", fail)
    before = snapshot(app)
    with pytest.raises(OperationalError):
        run(app, CHANGES[action], world)
    assert difference(before, snapshot(app)) == []


@pytest.mark.parametrize(
    "nothing",
    [
        lambda world: changes.grant_role(None, world.other.phone),
        lambda world: changes.revoke_role(None, world.person.phone),
        lambda world: changes.lift_ban(None, "192.0.2.77"),
    ],
)
def test_what_changes_nothing_writes_no_entry(app: Flask, world: World, nothing: Callable[[World], Any]) -> None:
    before = snapshot(app)
    run(app, nothing, world)
    assert difference(before, snapshot(app)) == []


def test_an_entry_outside_of_a_transaction_is_refused(context: None) -> None:
    with pytest.raises(RuntimeError):
        record(None, Action.BAN, "x")


def test_operators_who_change_the_same_level_at_once_leave_a_chain_of_states(app: Flask, people: People) -> None:
    """The state before each entry is the state after the entry before, however the changes interleave."""
    actor = people.add().id

    def change(price: int) -> Callable[[], None]:
        def work() -> None:
            with app.app_context():
                changes.change_level(actor, 1, "Bronze", price, ["vipflag"])
                db.session.remove()

        return work

    at_once([change(100 * number) for number in range(1, 9)])
    with app.app_context():
        entries = list(db.session.scalars(db.select(OperatorAction)))
    assert len(entries) == 8
    following = {entry.before: entry.after for entry in entries}
    assert len(following) == 8
    (first,) = set(following) - set(following.values())
    state, steps = first, 0
    while state in following:
        state, steps = following[state], steps + 1
    assert steps == 8


def test_a_granted_role_is_granted_once_however_often_at_once(app: Flask, people: People) -> None:
    phone = people.add().phone

    def grant() -> bool:
        with app.app_context():
            try:
                return changes.grant_role(None, phone)
            finally:
                db.session.remove()

    assert sorted(at_once([grant] * 6)) == [False] * 5 + [True]
    with app.app_context():
        assert len(list_actions(10)) == 1
