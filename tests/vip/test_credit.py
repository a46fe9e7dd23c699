"""What an upgrade credits: what was paid, in whole cents, whatever is bought in whatever order."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from swiper.extensions import db
from swiper.ids import new_id
from swiper.vip.levels import Level, VipStatus, vip_status_of
from swiper.vip.memberships import Paid, add_months, expire_memberships, extend, grant, price_of, rest_of, time_for
from swiper.vip.models import Membership, Order, OrderState, PaidPeriod
from tests.factories import Clock

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
