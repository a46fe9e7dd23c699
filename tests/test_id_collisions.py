"""Two processes may draw the same new id in one millisecond. The second row then gets another id."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from swiper.admin.audit import Action, record
from swiper.admin.models import OperatorAction
from swiper.admin.queries import audit
from swiper.auth import codes, login
from swiper.auth.codes import deliver_code, issue_code, unsent_codes
from swiper.auth.login import find_or_create
from swiper.auth.models import Phone, SmsOutbox
from swiper.auth.queries import PUT_INTO_OUTBOX
from swiper.cache import queries as cache_queries
from swiper.cache.invalidations import invalidate_shared_after_commit
from swiper.cache.models import SHARED, Invalidation
from swiper.clock import now
from swiper.db.statements import write
from swiper.db.transactions import transactional
from swiper.extensions import db
from swiper.ids import new_id
from swiper.profiles import uploads
from swiper.profiles.models import CountedField, ProfileChange, Upload, UploadKind, User
from swiper.profiles.queries import profile_changes
from swiper.profiles.uploads import add_upload
from swiper.robots import seeding
from swiper.robots.seeding import seed_robots
from swiper.vip import memberships, orders, sales
from swiper.vip.models import FlashSale, Order, PaidPeriod, Ticket
from tests.auth.test_first_login import in_steps
from tests.factories import People
from tests.profiles.uploading import picture

pytestmark = pytest.mark.usefixtures("app")

IdsOf = Callable[[Any, int], list[int]]


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> IdsOf:
    """Let a module draw an id that is taken, and then new ones. Returns a list that will have the drawn ids."""

    def draw_first(module: Any, taken: int) -> list[int]:
        drawn: list[int] = []

        def draw() -> int:
            drawn.append(new_id() if drawn else taken)
            return drawn[-1]

        monkeypatch.setattr(module, "new_id", draw)
        return drawn

    return draw_first


def count(model: Any) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_a_code_whose_id_is_taken_is_stored_under_another_and_both_are_sent(context: None, draws: IdsOf) -> None:
    taken = issue_code("13800138000", "10.0.0.1").outbox_id
    assert taken is not None
    drawn = draws(codes, taken)
    other = issue_code("13800138001", "10.0.0.2").outbox_id
    assert len(drawn) == 2
    assert drawn[0] == taken != drawn[1] == other
    assert sorted(unsent_codes()) == sorted([taken, drawn[1]])
    phones = {row.id: row.phone for row in db.session.execute(select(SmsOutbox.id, SmsOutbox.phone))}
    assert phones == {taken: "+8613800138000", other: "+8613800138001"}
    assert [deliver_code(outbox_id) for outbox_id in (taken, drawn[1])] == [True, True]


def test_a_code_that_is_stored_again_after_a_lost_answer_keeps_its_id(context: None) -> None:
    row = {"id": new_id(), "phone": "+8613800138000", "sealed_code": "a", "claimed_until": now(), "expires_at": now()}
    step = PUT_INTO_OUTBOX, row
    assert [write("again", step), write("again", step)] == [[[("a",)]], [[("a",)]]]
    assert write("again", (PUT_INTO_OUTBOX, row | {"sealed_code": "b"})) == [[("a",)]]
    assert count(SmsOutbox) == 1


@pytest.mark.parametrize("is_in_steps", [False, True])
def test_a_first_login_whose_id_is_taken_makes_an_account_under_another(
    is_in_steps: bool, app: Flask, context: None, draws: IdsOf
) -> None:
    taken = find_or_create("+8613800138000").id
    drawn = draws(login, taken)
    if is_in_steps:
        with in_steps(app):
            other = find_or_create("+8613800138001").id
    else:
        other = find_or_create("+8613800138001").id
    assert drawn == [taken, other]
    assert (count(User), count(Phone)) == (2, 2)


def test_robots_whose_id_is_taken_get_others(context: None, draws: IdsOf) -> None:
    taken = find_or_create("+8613800138000").id
    draws(seeding, taken)
    seed_robots(10, seed=1)
    assert count(User) == 11


def an_order(people: People) -> Any:
    return orders.create_order(people.add().id, 1, 1)


def a_sale(_people: People) -> Any:
    window = {"starts_at": now() - timedelta(days=1), "ends_at": now() + timedelta(days=1)}
    return sales.add_sale("sale", level=1, months=1, price_cents=100, stock=10, **window)


def an_operators_action(_people: People) -> Any:
    transactional(record)(None, Action.BAN, "10.0.0.1")
    return db.session.scalars(select(OperatorAction)).first()


def an_invalidation(_people: People) -> Any:
    transactional(invalidate_shared_after_commit)("page:test")
    return db.session.scalars(select(Invalidation).where(Invalidation.uid == SHARED)).first()


@pytest.mark.parametrize(
    ("make", "module", "model"),
    [
        (an_order, orders, Order),
        (a_sale, sales, FlashSale),
        (an_operators_action, audit, OperatorAction),
        (an_invalidation, cache_queries, Invalidation),
    ],
)
def test_a_row_whose_id_is_taken_gets_another(
    make: Callable[[People], Any], module: Any, model: Any, people: People, context: None, draws: IdsOf
) -> None:
    taken = make(people).id
    people.add()
    before = count(model)
    drawn = draws(module, taken)
    make(people)
    assert drawn[0] == taken
    assert len(drawn) >= 2
    assert count(model) >= before + 1


# These keys begin with the owner's id, so only rows of one owner can collide.


def test_a_ticket_whose_id_is_taken_gets_another(people: People, context: None, draws: IdsOf) -> None:
    first, second = a_sale(people), a_sale(people)
    uid = people.add().id
    ticket, _ = sales.queue_up(uid, first.id)
    drawn = draws(sales, ticket.id)
    other, is_new = sales.queue_up(uid, second.id)
    assert is_new
    assert drawn == [ticket.id, other.id]
    assert count(Ticket) == 2


def test_a_picture_whose_id_is_taken_gets_another(people: People, context: None, draws: IdsOf) -> None:
    uid = people.add().id
    taken = add_upload(uid, UploadKind.PHOTO, picture()).id
    db.session.remove()
    drawn = draws(uploads, taken)
    assert drawn == [taken, add_upload(uid, UploadKind.PHOTO, picture()).id]
    assert count(Upload) == 2


def test_a_counted_change_whose_id_is_taken_gets_another(people: People, context: None, draws: IdsOf) -> None:
    uid = people.add().id
    insert = transactional(profile_changes.insert_changes)
    insert(uid, [(CountedField.LOCATION, now())])
    taken = db.session.scalars(select(ProfileChange.id)).first()
    assert taken is not None
    before = count(ProfileChange)
    draws(profile_changes, taken)
    insert(uid, [(CountedField.LOCATION, now())])
    assert count(ProfileChange) == before + 1


def test_a_paid_period_whose_id_is_that_of_one_beside_it_gets_another(
    people: People, context: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = people.add().id
    memberships.grant(uid, 1, 1)
    taken = new_id()
    monkeypatch.setattr(memberships, "new_id", itertools.chain([taken, taken], iter(new_id, None)).__next__)
    memberships.grant(uid, 2, 1)
    assert count(PaidPeriod) == 2
