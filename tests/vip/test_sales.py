"""Flash sales: how they are set up, when they are open, and a purchase from beginning to end."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from swiper.clock import now
from swiper.errors import ParamError
from swiper.extensions import db
from swiper.profiles.accounts import delete_account
from swiper.vip.models import FlashSale, Membership, Order, Ticket
from swiper.vip.sales import add_sale
from tests.factories import Clock, People
from tests.vip.buyers import NOON, assert_exact, buy, pay, queue_up, serve
from tests.vip.test_orders import release


def test_a_purchase_from_beginning_to_end(people: People, app: Flask, open_sale: Callable[..., int]) -> None:
    man, sale_id = people.add(), open_sale(2)
    first = queue_up(man, sale_id).json["data"]
    assert first == {"ticket": first["ticket"], "sale_id": str(sale_id), "state": "queued", "order_id": None}
    serve(app, man, first["ticket"])
    ticket = man.get(f"/api/vip/qbuy/{first['ticket']}").json["data"]
    assert ticket == first | {"state": "ordered", "order_id": ticket["order_id"]}
    order = man.get(f"/api/vip/orders/{ticket['order_id']}").json["data"]
    assert (order["level"], order["months"], order["amount"], order["state"]) == (2, 3, 9.99, "pending")
    assert man.post(order["payment"]["url"]).json["data"]["state"] == "paid"
    assert man.get("/api/vip/me").json["data"]["level"] == 2
    (sale,) = man.get("/api/vip/sales").json["data"]
    assert (sale["id"], sale["name"], sale["price"], sale["stock"], sale["left"]) == (
        str(sale_id),
        "spring",
        9.99,
        2,
        1,
    )
    assert_exact(app, sale_id)


def test_a_sale_is_open_within_its_window_alone(
    people: People, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id = open_sale(5)
    man, other = people.add(), people.add()
    clock.advance(seconds=-1)
    early = queue_up(man, sale_id)
    clock.moment = NOON
    assert queue_up(man, sale_id).status_code == 200
    clock.moment = NOON + timedelta(hours=1)
    late = queue_up(other, sale_id)
    for answer in (early, late):
        assert (answer.status_code, answer.json["code"]) == (422, 1005)
        assert answer.json["message"] == "The sale is not open."
    assert man.get("/api/vip/sales").json["data"] == []


def test_sales_to_come_are_listed_the_next_to_end_first(
    people: People, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, NOON)
    later = open_sale(1, starts_at=NOON + timedelta(hours=1), ends_at=NOON + timedelta(hours=3))
    sooner = open_sale(1, ends_at=NOON + timedelta(hours=2))
    open_sale(1, starts_at=NOON - timedelta(hours=2), ends_at=NOON)
    assert [sale["id"] for sale in people.add().get("/api/vip/sales").json["data"]] == [str(sooner), str(later)]


def test_a_sold_out_sale_says_so(people: People, app: Flask, open_sale: Callable[..., int]) -> None:
    sale_id, (man, late, later) = open_sale(1), [people.add() for _ in range(3)]
    ticket = queue_up(late, sale_id).json["data"]["ticket"]
    buy(app, man, sale_id)
    serve(app, late, ticket)
    assert late.get(f"/api/vip/qbuy/{ticket}").json["data"]["state"] == "sold_out"
    for person in (late, later):
        answer = queue_up(person, sale_id)
        assert (answer.status_code, answer.json["code"]) == (409, 1012)
    assert queue_up(man, sale_id).json["data"]["state"] == "ordered"


def test_no_such_sale_or_ticket(people: People, app: Flask, open_sale: Callable[..., int]) -> None:
    man, other, sale_id = people.add(), people.add(), open_sale(1)
    ticket = queue_up(man, sale_id).json["data"]["ticket"]
    for answer in (
        queue_up(man, sale_id + 1),
        man.get("/api/vip/qbuy/1"),
        other.get(f"/api/vip/qbuy/{ticket}"),
    ):
        assert (answer.status_code, answer.json["code"]) == (404, 1009)
    assert man.post("/api/vip/qbuy").json["errors"].keys() == {"sale_id"}


def test_without_a_payment_provider_nobody_queues_up(
    make_app: Callable[..., Flask], open_sale: Callable[..., int], app: Flask
) -> None:
    answer = queue_up(People(make_app(payment_provider="none")).add(), open_sale(1))
    assert (answer.status_code, answer.json["code"]) == (503, 1011)
    with app.app_context():
        assert db.session.scalars(select(Ticket)).all() == []


def test_deleting_the_account_gives_an_unpaid_place_back(
    people: People, app: Flask, open_sale: Callable[..., int]
) -> None:
    sale_id, man, other = open_sale(1), people.add(), people.add()
    buy(app, man, sale_id)
    with app.app_context():
        delete_account(man.id)
        assert db.session.scalars(select(Order)).all() == db.session.scalars(select(Ticket)).all() == []
    assert buy(app, other, sale_id)["state"] == "ordered"
    assert_exact(app, sale_id)


def test_deleting_the_account_does_not_give_a_paid_or_released_place_back(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    sale_id, (paid, released, queued) = open_sale(9), [people.add() for _ in range(3)]
    buy(app, released, sale_id)
    clock.advance(seconds=901)
    release(app)
    pay(paid, buy(app, paid, sale_id)["order_id"])
    queue_up(queued, sale_id)
    with app.app_context():
        for person in (paid, released, queued):
            delete_account(person.id)
        assert db.session.get_one(FlashSale, sale_id).sold == 1
        assert db.session.scalars(select(Order)).all() == []


@pytest.mark.parametrize(
    "wrong",
    [{"level": 0}, {"months": 0}, {"price_cents": -1}, {"stock": 0}, {"ends_at": NOON}],
)
def test_a_sale_that_makes_no_sense_is_refused(wrong: dict[str, Any], context: None) -> None:
    right = {
        "level": 1,
        "months": 1,
        "price_cents": 1,
        "stock": 1,
        "starts_at": NOON,
        "ends_at": NOON + timedelta(hours=1),
    }
    with pytest.raises(ParamError):
        add_sale("odd", **right | wrong)  # type: ignore[arg-type]
    assert db.session.scalars(select(FlashSale)).all() == []


def test_the_database_itself_refuses_more_sold_than_stock(open_sale: Callable[..., int], context: None) -> None:
    sale_id = open_sale(1)
    # MariaDB tells it as an operational error, the others as one of integrity.
    with pytest.raises(DBAPIError, match="sold_within_stock"):
        db.session.execute(update(FlashSale).where(FlashSale.id == sale_id).values(sold=2))
    db.session.rollback()


def test_a_sale_beyond_what_a_membership_may_have_ahead_is_refused_before_it_is_paid(
    people: People, app: Flask, open_sale: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, NOON)
    sale_id, man = open_sale(3), people.add()
    with app.app_context():
        db.session.add(Membership(uid=man.id, level=2, expires_at=NOON + timedelta(days=3_600)))
        db.session.commit()
    answer = queue_up(man, sale_id)
    assert (answer.status_code, answer.json["message"]) == (422, "A membership cannot be extended that far ahead.")


WRONG: list[dict[str, Any]] = [
    {"name": ""},
    {"name": " \u200b "},
    {"name": "x" * 65},
    {"name": "\ud800"},
    {"level": 0},
    {"level": 10**30},
    {"months": 0},
    {"months": 37},
    {"months": True},
    {"price_cents": 0},
    {"price_cents": -1},
    {"price_cents": 0.5},
    {"price_cents": float("nan")},
    {"price_cents": 10**9},
    {"stock": 0},
    {"stock": 10**18},
    {"starts_at": datetime(1, 1, 1, tzinfo=UTC)},
    {"starts_at": datetime(9999, 12, 31, tzinfo=UTC)},
    {"ends_at": datetime(9999, 12, 31, tzinfo=UTC)},
    {"ends_at": datetime(2001, 1, 1, tzinfo=UTC)},
]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_sale_of_nonsense_names_the_field_at_fault(wrong: dict[str, Any], app: Flask) -> None:
    (field,) = wrong
    with app.app_context():
        window = {"starts_at": now(), "ends_at": now() + timedelta(hours=1)}
        right: dict[str, Any] = {"name": "x", "level": 1, "months": 1, "price_cents": 1, "stock": 1} | window
        with pytest.raises(ParamError) as caught:
            add_sale(**(right | wrong))
        assert caught.value.errors is not None
        assert list(caught.value.errors) == [field.removesuffix("_cents")]
        assert db.session.scalars(select(FlashSale)).all() == []


def test_the_name_of_a_sale_is_cleaned_and_may_have_64_characters(app: Flask) -> None:
    with app.app_context():
        window = {"starts_at": now(), "ends_at": now() + timedelta(hours=1)}
        sale = add_sale("  " + "春" * 64 + " ", level=1, months=36, price_cents=999_999_999, stock=10_000_000, **window)
        assert (sale.name, sale.price_cents) == ("春" * 64, 999_999_999)
