"""Places of a flash sale that are not paid in time, and payments that come late."""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from swiper.extensions import db
from swiper.vip import tasks
from swiper.vip.models import FlashSale, Order, OrderState, Ticket
from tests.factories import Clock, People, Person, at_once
from tests.vip.buyers import NOON, assert_exact, buy, pay, queue_up, serve
from tests.vip.test_orders import release


def test_an_unpaid_place_goes_to_somebody_else(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, man, other = open_sale(1), people.add(), people.add()
    first = buy(app, man, sale_id)
    assert queue_up(other, sale_id).json["code"] == 1012
    clock.advance(seconds=901)
    assert [release(app), release(app)] == [1, 0]
    assert man.get(f"/api/vip/qbuy/{first['ticket']}").json["data"]["state"] == "released"
    assert_exact(app, sale_id)
    assert buy(app, other, sale_id)["state"] == "ordered"
    assert queue_up(man, sale_id).json["code"] == 1012
    assert_exact(app, sale_id)


def test_releases_at_once_give_a_place_back_once(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id = open_sale(8)
    for _ in range(5):
        buy(app, people.add(is_complete=False), sale_id)
    clock.advance(hours=1)
    assert sum(at_once([functools.partial(release, app)] * 6)) == 5
    assert assert_exact(app, sale_id) == {OrderState.RELEASED: 5}


def test_payment_against_release_keeps_the_books_right(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id = open_sale(6, ends_at=NOON + timedelta(days=1))
    buyers = [people.add(is_complete=False) for _ in range(6)]
    orders = [buy(app, buyer, sale_id)["order_id"] for buyer in buyers]
    clock.advance(hours=1)
    calls: list[Callable[[], Any]] = [
        functools.partial(pay, buyer, number) for buyer, number in zip(buyers, orders, strict=True)
    ]
    at_once([*calls, *[functools.partial(release, app)] * 3])
    # There was a place for everyone, so each payment counts, before its release or after.
    assert assert_exact(app, sale_id) == {OrderState.PAID: 6}


def test_a_late_payment_takes_a_place_that_is_still_free(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, man = open_sale(1), people.add()
    ticket = buy(app, man, sale_id)
    clock.advance(seconds=901)
    release(app)
    assert pay(man, ticket["order_id"]) == "paid"
    assert man.get(f"/api/vip/qbuy/{ticket['ticket']}").json["data"] == ticket
    assert man.get("/api/vip/me").json["data"]["level"] == 2
    assert assert_exact(app, sale_id) == {OrderState.PAID: 1}


def test_a_late_payment_without_a_free_place_is_to_be_refunded(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, man, other = open_sale(1), people.add(), people.add()
    ticket = buy(app, man, sale_id)
    clock.advance(seconds=901)
    release(app)
    buy(app, other, sale_id)
    assert [pay(man, ticket["order_id"]) for _ in range(2)] == ["refund_due"] * 2
    assert man.get("/api/vip/me").json["data"]["level"] == 0
    assert assert_exact(app, sale_id) == {OrderState.REFUND_DUE: 1, OrderState.PENDING: 1}


@pytest.fixture
def returned(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> tuple[Person, int, str, str]:
    """A buyer whose order was released and who has ordered again: buyer, sale, first and second order."""
    clock = Clock(monkeypatch, NOON)
    sale_id, man = open_sale(5), people.add()
    first = buy(app, man, sale_id)
    clock.advance(seconds=901)
    release(app)
    second = buy(app, man, sale_id)
    assert first["ticket"] == second["ticket"]
    return man, sale_id, first["order_id"], second["order_id"]


def test_a_late_payment_takes_over_the_place_of_an_unpaid_second_order(
    returned: tuple[Person, int, str, str], app: Flask
) -> None:
    man, sale_id, first, second = returned
    assert pay(man, first) == "paid"
    assert assert_exact(app, sale_id) == {OrderState.PAID: 1, OrderState.RELEASED: 1}
    assert pay(man, second) == "refund_due"
    assert assert_exact(app, sale_id) == {OrderState.PAID: 1, OrderState.REFUND_DUE: 1}


def test_a_late_payment_beside_a_paid_second_order_is_to_be_refunded(
    returned: tuple[Person, int, str, str], app: Flask
) -> None:
    man, sale_id, first, second = returned
    assert [pay(man, second), pay(man, first)] == ["paid", "refund_due"]
    assert assert_exact(app, sale_id) == {OrderState.PAID: 1, OrderState.REFUND_DUE: 1}


def test_paying_both_orders_at_once_buys_once(returned: tuple[Person, int, str, str], app: Flask) -> None:
    man, sale_id, first, second = returned
    other = Person(man.id, man.phone, People(app).client_of(man.id))
    states = at_once([functools.partial(pay, man, first), functools.partial(pay, other, second)])
    assert sorted(states) == ["paid", "refund_due"]
    assert assert_exact(app, sale_id) == {OrderState.PAID: 1, OrderState.REFUND_DUE: 1}


def test_a_late_payment_is_served_before_the_buyers_new_ticket(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, man = open_sale(5), people.add()
    first = buy(app, man, sale_id)
    clock.advance(seconds=901)
    release(app)
    queue_up(man, sale_id)
    assert pay(man, first["order_id"]) == "paid"
    serve(app, man, first["ticket"])
    assert assert_exact(app, sale_id) == {OrderState.PAID: 1}


# Buyers who do not pay.


def test_a_buyer_may_let_a_place_go_unpaid_twice(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, other_id = (open_sale(1, ends_at=NOON + timedelta(days=90)) for _ in range(2))
    man, other = people.add(), people.add()
    for _ in range(2):
        assert buy(app, man, sale_id)["state"] == "ordered"
        clock.advance(seconds=901)
        release(app)
    answer = queue_up(man, sale_id)
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    assert answer.json["message"] == "You have left your place in this sale unpaid too often."
    clock.advance(days=40)
    tasks.purge_released()
    assert queue_up(man, sale_id).status_code == 422
    # Another sale, and another buyer of this one, are not concerned.
    assert buy(app, man, other_id)["state"] == "ordered"
    assert buy(app, other, sale_id)["state"] == "ordered"


def test_a_place_that_was_paid_late_counts_against_nobody(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, man = open_sale(1, ends_at=NOON + timedelta(days=9)), people.add()
    ticket = buy(app, man, sale_id)
    clock.advance(days=2)
    # Nobody has released it: the beat stood still.
    assert pay(man, ticket["order_id"]) == "refund_due"
    with app.app_context():
        assert db.session.get_one(FlashSale, sale_id).sold == 0
        assert db.session.scalars(select(Ticket.lapses)).one() == 0
    assert buy(app, man, sale_id)["state"] == "ordered"
    assert_exact(app, sale_id)


def test_tickets_of_sales_that_are_long_over_are_deleted(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, (first, second, third) = open_sale(2), [people.add() for _ in range(3)]
    third_ticket = queue_up(third, sale_id).json["data"]["ticket"]
    bought = buy(app, first, sale_id)
    buy(app, second, sale_id)
    serve(app, third, third_ticket)
    pay(first, bought["order_id"])
    clock.advance(seconds=901)
    release(app)
    clock.advance(days=31)
    tasks.purge_released()
    with app.app_context():
        assert list(db.session.scalars(select(Ticket.uid))) == [first.id]
        assert list(db.session.scalars(select(Order.uid))) == [first.id]
