"""No sequence of purchases is worth more than what was paid for it."""

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
from swiper.vip.levels import find_level, vip_status_of
from swiper.vip.memberships import add_months, expire_memberships
from swiper.vip.models import Membership, Order, OrderState, PaidPeriod, VipLevel
from swiper.vip.orders import confirm_payment, create_order
from swiper.vip.payments.base import PaymentNotice
from swiper.vip.sales import add_sale, queue_up, serve_ticket
from tests.factories import Clock, forget_levels

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)


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
