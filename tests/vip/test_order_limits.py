"""Limits of orders: until when they can be paid, how many may be pending, and how long they are kept."""

import functools
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from swiper.extensions import db
from swiper.vip import tasks
from swiper.vip.models import Membership, Order
from swiper.vip.orders import purge_orders
from tests.factories import Clock, People, Person, at_once
from tests.vip.test_orders import order, release, states

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)


# How long an order can be paid.


@pytest.mark.parametrize("is_released", [True, False])
def test_a_payment_that_comes_too_late_is_refunded_and_grants_nothing(
    is_released: bool, man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(monkeypatch, NOON)
    punctual, late = order(man, months=1), order(man, months=2)
    clock.moment = NOON + timedelta(seconds=900 + 43_200)
    if is_released:
        release(app)
    assert man.post(punctual["payment"]["url"]).json["data"]["state"] == "paid"
    before = man.get("/api/vip/me").json["data"]
    clock.advance(seconds=1)
    for _ in range(2):
        assert man.post(late["payment"]["url"]).json["data"]["state"] == "refund_due"
    assert man.get("/api/vip/me").json["data"] == before
    assert [record.levelname for record in caplog.records if "refund" in record.message] == ["ERROR"]
    assert states(app) == ["paid", "refund_due"]


def test_an_old_order_does_not_keep_an_old_price(man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOON)
    made = order(man, level=3, months=36)
    clock.advance(days=400)
    release(app)
    assert man.post(made["payment"]["url"]).json["data"]["state"] == "refund_due"
    assert man.get("/api/vip/me").json["data"]["level"] == 0


def test_a_membership_reaches_a_number_of_years_ahead_and_no_further(
    man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Clock(monkeypatch, NOON)
    for _ in range(3):
        man.post(order(man, months=36)["payment"]["url"])
    made = [order(man, months=months) for months in (12, 6, 6)]
    answer = man.post("/api/vip/orders", level=2, months=13)
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    assert answer.json["message"] == "A membership cannot be extended that far ahead."
    paid = [man.post(each["payment"]["url"]).json["data"]["state"] for each in made]
    assert paid == ["paid", "refund_due", "refund_due"]
    assert man.get("/api/vip/me").json["data"]["expires_at"] == "2036-03-10T04:00:00+00:00"
    assert [record.levelname for record in caplog.records if "refund" in record.message] == ["ERROR"] * 2
    # A higher level that credits it all stays within the bound as well; a lower one adds to it.
    assert man.post("/api/vip/orders", level=1, months=1).status_code == 422


def test_a_membership_of_old_that_reaches_the_end_of_time_refuses_more(
    man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, NOON)
    with app.app_context():
        db.session.add(Membership(uid=man.id, level=2, expires_at=datetime(9999, 12, 1, tzinfo=UTC)))
        db.session.commit()
    for level in (1, 2):
        assert man.post("/api/vip/orders", level=level, months=1).status_code == 422
    assert states(app) == []


# How many orders there are.


def test_five_orders_may_wait_for_their_payment(man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOON)
    made = [order(man, months=1)]
    clock.advance(seconds=60)
    made += [order(man, months=1) for _ in range(4)]
    answer = man.post("/api/vip/orders", level=2, months=1)
    assert (answer.status_code, answer.json["code"]) == (429, 1006)
    assert answer.headers["Retry-After"] == "840"
    man.post(made[0]["payment"]["url"])
    order(man, months=1)
    assert man.post("/api/vip/orders", level=2, months=1).status_code == 429
    clock.advance(seconds=901)
    release(app)
    order(man, months=1)


def test_orders_at_the_same_moment_are_counted_exactly(man: Person, people: People, app: Flask) -> None:
    clients = [Person(man.id, man.phone, people.client_of(man.id)) for _ in range(12)]
    answers = at_once([functools.partial(each.post, "/api/vip/orders", level=1, months=1) for each in clients])
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [429] * 7
    assert states(app) == ["pending"] * 5


def test_released_orders_are_deleted_after_a_time_and_no_others(
    man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    unpaid, paid, late = (order(man, months=months) for months in (1, 2, 3))
    man.post(paid["payment"]["url"])
    clock.advance(days=2)
    release(app)
    man.post(late["payment"]["url"])
    pending = order(man, months=4)
    clock.moment = NOON + timedelta(days=30)
    tasks.purge_released()
    assert states(app) == ["released", "paid", "refund_due", "pending"]
    clock.advance(seconds=1)
    tasks.purge_released()
    with app.app_context():
        assert {str(number) for number in db.session.scalars(select(Order.id))} == {
            paid["id"],
            late["id"],
            pending["id"],
        }
        assert purge_orders() == 0
    assert man.get(f"/api/vip/orders/{unpaid['id']}").status_code == 404
