"""What an upgrade credits: what was paid, in whole cents, whatever is bought in whatever order."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from swiper.extensions import db
from swiper.ids import new_id
from swiper.vip.levels import Level, VipStatus, find_level, vip_status_of
from swiper.vip.memberships import Paid, add_months, expire_memberships, extend, grant, price_of, rest_of, time_for
from swiper.vip.models import Membership, Order, OrderState, PaidPeriod, VipLevel
from swiper.vip.orders import confirm_payment, create_order
from swiper.vip.payments.base import PaymentNotice
from swiper.vip.sales import add_sale, queue_up, serve_ticket
from tests.factories import Clock, forget_levels

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)
MONTH = timedelta(days=31)


def level(number: int, price_cents: int | None = None) -> Level:
    return Level(number, f"会员-{number}", 500 * number if price_cents is None else price_cents, ())


def left_of(uid: int) -> timedelta:
    """How long the membership lasts from now, the level's number aside."""
    expires_at = vip_status_of(uid).expires_at
    assert expires_at is not None
    return expires_at - NOON


# Calendar and cents.

moments = st.datetimes(datetime(2025, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@given(moment=moments, months=st.integers(1, 36), bought=st.integers(1, 3))
def test_a_first_purchase_starts_now(moment: datetime, months: int, bought: int) -> None:
    extension = extend(VipStatus(level(0), None), level(bought), months, moment=moment, paid_cents=7)
    assert extension[:2] == (bought, add_months(moment, months))
    assert extension.periods == [Paid(moment, add_months(moment, months), 7)]


@given(moment=moments, cents=st.integers(0, 200_000), price=st.integers(100, 5_000))
def test_time_and_its_price_are_each_other_s_inverse(moment: datetime, cents: int, price: int) -> None:
    time = time_for(cents, price, moment)
    assert cents - 1 <= price_of(moment, moment + time, price) <= cents


@given(moment=moments, months=st.integers(1, 36), price=st.integers(1, 5_000))
def test_whole_months_are_those_of_the_calendar(moment: datetime, months: int, price: int) -> None:
    assert moment + time_for(months * price, price, moment) == add_months(moment, months)


def test_a_free_level_does_not_divide_by_zero() -> None:
    ten_days = [Paid(NOON, NOON + timedelta(days=10), 100)]
    current = VipStatus(level(1), NOON + timedelta(days=10))
    extension = extend(current, level(3, 0), 1, moment=NOON, paid_cents=0, periods=ten_days)
    assert extension[:2] == (3, add_months(NOON, 1) + timedelta(days=10))
    # What was paid is not forgotten while the higher level costs nothing.
    assert rest_of(extension.periods, NOON) == 100


def test_a_credit_is_at_most_one_to_one() -> None:
    current = VipStatus(level(1), NOON + timedelta(days=10))
    periods = [Paid(NOON, NOON + timedelta(days=10), 99_999)]
    extension = extend(current, level(2, 1), 1, moment=NOON, paid_cents=1, periods=periods)
    assert extension.expires_at == add_months(NOON, 1) + timedelta(days=10)
    lower = extend(VipStatus(level(3, 1), NOON + MONTH), level(1), 1, moment=NOON, paid_cents=500)
    assert lower.expires_at == NOON + 2 * MONTH


# The service.


def test_an_upgrade_credits_what_a_sale_cost_and_not_its_list_price(app: Flask, monkeypatch: Any) -> None:
    Clock(monkeypatch, NOON)
    with app.app_context():
        grant(1, 1, 36, 1)
        grant(1, 3, 1, 1500)
        assert vip_status_of(1).level.level == 3
        # A month, and a cent's worth of another.
        assert left_of(1) == MONTH + MONTH / 1500


def test_a_cheap_lower_level_extends_a_higher_one_by_what_it_cost(app: Flask, monkeypatch: Any) -> None:
    Clock(monkeypatch, NOON)
    with app.app_context():
        grant(1, 3, 1, 1500)
        grant(1, 1, 36, 1)
        assert (vip_status_of(1).level.level, left_of(1)) == (3, MONTH + MONTH / 1500)


def test_a_sale_of_the_held_level_gives_its_months_and_no_credit_beyond_its_price(app: Flask, monkeypatch: Any) -> None:
    clock = Clock(monkeypatch, NOON)
    with app.app_context():
        grant(1, 1, 36, 18_000)
        grant(1, 1, 36, 1)
        assert vip_status_of(1).expires_at == add_months(NOON, 72)
        # What was dear is used up first, so that it cannot be had twice.
        clock.moment = add_months(NOON, 36)
        grant(1, 3, 1, 1500)
        expires_at = vip_status_of(1).expires_at
        assert expires_at is not None
        assert expires_at - add_months(clock.moment, 1) <= MONTH / 1500


def test_half_of_what_was_paid_is_left_after_half_of_the_time(app: Flask, monkeypatch: Any) -> None:
    clock = Clock(monkeypatch, NOON)
    with app.app_context():
        grant(1, 1, 12, 3000)
        clock.moment = NOON + (add_months(NOON, 12) - NOON) / 2
        grant(1, 3, 1, 1500)
        expires_at = vip_status_of(1).expires_at
        assert expires_at is not None
        assert expires_at - add_months(clock.moment, 1) == add_months(clock.moment, 1) - clock.moment


def test_splitting_a_purchase_gains_nothing(app: Flask, monkeypatch: Any) -> None:
    Clock(monkeypatch, NOON)
    with app.app_context():
        grant(1, 2, 6)
        grant(1, 3, 1)
        grant(2, 3, 1)
        for _ in range(6):
            grant(2, 2, 1)
        assert left_of(2) <= left_of(1) + timedelta(days=3)
        paid = [row.paid_cents for row in db.session.scalars(select(PaidPeriod).where(PaidPeriod.uid == 2))]
        assert sum(paid) == 7500


@pytest.mark.parametrize(
    ("orders", "credit"),
    [
        # Nobody knows what was paid: the list price.
        ([], 18_000),
        # The list price is a bound as well.
        ([(36, 18_000), (12, 6_000)], 18_000),
        ([(36, 1)], 1),
        ([(36, 900), (1, 500)], 1_400),
    ],
)
def test_a_membership_of_the_release_before_is_credited_by_list_price_and_at_most_by_what_was_paid(
    orders: list[tuple[int, int]], credit: int, app: Flask, monkeypatch: Any
) -> None:
    Clock(monkeypatch, NOON)
    with app.app_context():
        db.session.add(Membership(uid=1, level=1, expires_at=add_months(NOON, 36)))
        for months, cents in orders:
            order = {"id": new_id(), "uid": 1, "level": 1, "months": months, "amount_cents": cents}
            db.session.add(Order(**order, provider="sandbox", state=OrderState.PAID, paid_at=NOON))
        db.session.commit()
        grant(1, 3, 1, 1500)
        rows = db.session.scalars(select(PaidPeriod).where(PaidPeriod.uid == 1).order_by(PaidPeriod.starts_at))
        assert [row.paid_cents for row in rows] == [1500, credit]
        expected = add_months(NOON, 1) + time_for(credit, 1500, NOON)
        assert vip_status_of(1).expires_at == expected


def test_what_has_ended_is_worth_nothing(app: Flask, monkeypatch: Any) -> None:
    clock = Clock(monkeypatch, NOON)
    with app.app_context():
        grant(1, 1, 12)
        grant(2, 1, 24)
        clock.moment = add_months(NOON, 12)
        assert expire_memberships() == [1]
        assert set(db.session.scalars(select(PaidPeriod.uid))) == {2}
        grant(1, 3, 1)
        assert vip_status_of(1).expires_at == add_months(clock.moment, 1)


# An attacker who may do anything, as often as they like.


class Buyer:
    """Buys through the service, and knows what was paid and what that can be worth at most."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.uid = clock, new_id()

    def state(self) -> tuple[int, timedelta, Fraction]:
        """Level, time and money that are left."""
        current = vip_status_of(self.uid)
        rows = db.session.scalars(select(PaidPeriod).where(PaidPeriod.uid == self.uid))
        rest = Fraction(0)
        for row in rows:
            ahead = row.ends_at - max(row.starts_at, self.clock.moment)
            if current.expires_at and ahead > timedelta(0):
                rest += row.paid_cents * Fraction(ahead / (row.ends_at - row.starts_at))
        left = current.expires_at - self.clock.moment if current.expires_at else timedelta(0)
        return current.level.level, left, rest

    def order(self, number: int, months: int) -> Order:
        return create_order(self.uid, number, months)

    def sale(self, number: int, months: int, cents: int) -> Order:
        window = {"starts_at": self.clock.moment, "ends_at": self.clock.moment + timedelta(hours=1)}
        sale = add_sale("sale", level=number, months=months, price_cents=cents, stock=1, **window)
        ticket, _ = queue_up(self.uid, sale.id)
        serve_ticket(self.uid, ticket.id)
        return db.session.scalars(select(Order).where(Order.uid == self.uid, Order.sale_id == sale.id)).one()

    def buy(self, made: Order) -> None:
        number, months, cents = made.level, made.months, made.amount_cents
        moment = self.clock.moment
        held, left, rest = self.state()
        price = find_level(max(number, held)).price_cents
        paid = confirm_payment("sandbox", PaymentNotice(made.id, f"bank-{made.id}", cents, "CNY"))
        assert paid.state is OrderState.PAID
        now_held, now_left, now_rest = self.state()
        assert now_held == max(number, held)
        # No purchase makes money.
        assert now_rest <= rest + cents + Fraction(1, 1_000_000)
        bought = add_months(moment, months) - moment
        if not held:
            assert now_left == bought
        elif number == held:
            assert now_left == add_months(moment + left, months) - moment
        else:
            worth, most = (rest, left) if number > held else (Fraction(cents), bought)
            gained = now_left - (bought if number > held else left)
            assert timedelta(0) <= gained <= most
            # No month has more than 31 days.
            assert not price or gained <= timedelta(days=31 * float(worth / price)) + timedelta(milliseconds=1)


levels = st.integers(1, 3)
steps = st.one_of(
    st.tuples(st.just("order"), levels, st.integers(1, 36)),
    st.tuples(st.just("sale"), levels, st.integers(1, 36), st.sampled_from([1, 2, 99, 1500, 50_000])),
    st.tuples(st.just("wait"), st.sampled_from([0.0001, 1.0, 29.5, 365.0])),
    st.tuples(st.just("price"), levels, st.sampled_from([0, 1, 500, 1000, 1500, 99_999])),
    st.tuples(st.just("expire")),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(played=st.lists(steps, min_size=2, max_size=7))
def test_no_sequence_of_purchases_is_worth_more_than_was_paid(
    played: list[tuple[Any, ...]], app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    monkeypatch.setitem(app.config, "MEMBERSHIP_YEARS_AHEAD", 100)
    with app.app_context():
        for number in (1, 2, 3):
            set_price(number, 500 * number)
        buyer = Buyer(clock)
        for name, *values in played:
            if name == "wait":
                clock.advance(days=values[0])
            elif name == "price":
                set_price(*values)
            elif name == "expire":
                expire_memberships()
            else:
                buyer.buy(getattr(buyer, name)(*values))
        db.session.execute(delete(Membership))
        db.session.commit()


def set_price(number: int, cents: int) -> None:
    db.session.execute(update(VipLevel).where(VipLevel.level == number).values(price_cents=cents))
    db.session.commit()
    forget_levels()
