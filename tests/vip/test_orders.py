"""Orders: made at today's price, paid once, granted once, or released."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from swiper.extensions import db
from swiper.vip import tasks
from swiper.vip.levels import vip_status_of
from swiper.vip.memberships import add_months, grant
from swiper.vip.models import Order, OrderState, VipLevel
from swiper.vip.orders import release_order, unpaid_orders
from tests.factories import Clock, People, Person, forget_levels

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)


def order(person: Person, level: Any = 2, months: Any = 3) -> dict[str, Any]:
    answer = person.post("/api/vip/orders", level=level, months=months)
    assert answer.status_code == 201, answer.json
    data: dict[str, Any] = answer.json["data"]
    return data


def states(app: Flask) -> list[str]:
    with app.app_context():
        return [row.state.value for row in db.session.scalars(select(Order).order_by(Order.id))]


def release(app: Flask) -> int:
    """Release what nobody paid in time; how many orders it was."""
    with app.app_context():
        return sum(release_order(order_id) for order_id in unpaid_orders())


def test_an_order_from_beginning_to_end_in_the_sandbox(man: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, NOON)
    made = order(man)
    assert made == {
        "id": made["id"],
        "level": 2,
        "months": 3,
        "amount": 30.0,
        "currency": "CNY",
        "state": "pending",
        "created_at": "2026-03-10T04:00:00+00:00",
        "paid_at": None,
        "payment": {"provider": "sandbox", "url": f"/api/vip/payments/sandbox/checkout/{made['id']}"},
    }
    assert man.get("/api/vip/me").json["data"]["level"] == 0
    paid = man.post(made["payment"]["url"])
    assert (paid.status_code, paid.json["data"]["state"]) == (200, "paid")
    assert man.get(f"/api/vip/orders/{made['id']}").json["data"] == made | {
        "state": "paid",
        "paid_at": "2026-03-10T04:00:00+00:00",
        "payment": None,
    }
    current = man.get("/api/vip/me").json["data"]
    assert (current["level"], current["expires_at"]) == (2, "2026-06-10T04:00:00+00:00")
    assert man.get("/api/user/profile").json["data"]["vip"]["level"] == 2


def test_paying_twice_in_the_sandbox_grants_once(man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, NOON)
    made = order(man, months=1)
    assert [man.post(made["payment"]["url"]).json["data"]["state"] for _ in range(3)] == ["paid"] * 3
    with app.app_context():
        assert vip_status_of(man.id).expires_at == add_months(NOON, 1)


def test_the_price_is_that_of_the_day_of_the_order(man: Person, app: Flask) -> None:
    first = order(man, level=3, months=12)
    with app.app_context():
        db.session.execute(update(VipLevel).where(VipLevel.level == 3).values(price_cents=1999))
        db.session.commit()
        forget_levels()
    assert (first["amount"], order(man, level=3, months=1)["amount"]) == (180.0, 19.99)
    assert man.get(f"/api/vip/orders/{first['id']}").json["data"]["amount"] == 180.0
    assert man.post(first["payment"]["url"]).json["data"]["state"] == "paid"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"level": 0, "months": 1}, "level"),
        ({"level": 4, "months": 1}, "level"),
        ({"level": -1, "months": 1}, "level"),
        ({"level": 101, "months": 1}, "level"),
        ({"level": "gold", "months": 1}, "level"),
        ({"level": True, "months": 1}, "level"),
        ({"months": 1}, "level"),
        ({"level": 1}, "months"),
        ({"level": 1, "months": 0}, "months"),
        ({"level": 1, "months": 37}, "months"),
        ({"level": 1, "months": 1.5}, "months"),
        ({"level": 1, "months": 1, "amount": 0}, "amount"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(body: Any, field: str, man: Person, app: Flask) -> None:
    answer = man.post("/api/vip/orders", **body)
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    assert list(answer.json["errors"]) == [field]
    assert states(app) == []


def test_nobody_sees_or_pays_somebody_elses_order(man: Person, people: People, app: Flask) -> None:
    other, made = people.add(), order(man)
    for answer in (
        other.get(f"/api/vip/orders/{made['id']}"),
        other.post(made["payment"]["url"]),
        other.get("/api/vip/orders/12345"),
        other.get("/api/vip/orders/x"),
    ):
        assert (answer.status_code, answer.json["code"]) == (404, 1009)
    assert states(app) == ["pending"]


def test_without_a_payment_provider_nothing_is_sold(make_app: Callable[..., Flask], app: Flask) -> None:
    poor = make_app(payment_provider="none")
    man = People(poor).add()
    answer = man.post("/api/vip/orders", level=1, months=1)
    assert (answer.status_code, answer.json["code"]) == (503, 1011)
    assert man.post("/api/vip/payments/sandbox/checkout/1").status_code == 404
    assert man.client.post("/api/vip/payments/sandbox/callback").status_code == 404
    assert states(app) == []


def test_an_order_that_nobody_pays_is_released(man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOON)
    made = order(man)
    clock.advance(seconds=900)
    assert release(app) == 0
    clock.advance(seconds=1)
    tasks.release_orders()
    assert release(app) == 0
    shown = man.get(f"/api/vip/orders/{made['id']}").json["data"]
    assert (shown["state"], shown["payment"]) == ("released", None)


def test_a_paid_order_is_never_released(man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOON)
    man.post(order(man)["payment"]["url"])
    clock.advance(days=1)
    assert release(app) == 0
    assert states(app) == ["paid"]


def test_a_late_payment_of_an_ordinary_order_is_granted(
    man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    made = order(man, months=1)
    clock.advance(hours=1)
    release(app)
    assert man.post(made["payment"]["url"]).json["data"]["state"] == "paid"
    assert man.get("/api/vip/me").json["data"]["expires_at"] == "2026-04-10T05:00:00+00:00"


def test_a_payment_whose_grant_fails_is_not_noted(man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    made = order(man)

    def fail(*_: Any) -> None:
        raise RuntimeError("the power is gone")

    with monkeypatch.context() as broken:
        broken.setattr("swiper.vip.orders.grant", fail)
        assert man.post(made["payment"]["url"]).status_code == 500
    assert states(app) == ["pending"]
    assert man.post(made["payment"]["url"]).json["data"]["state"] == "paid"
    with app.app_context():
        assert db.session.scalars(select(Order.state)).one() is OrderState.PAID


def test_an_order_on_top_of_a_level_extends_it(man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, NOON)
    with app.app_context():
        grant(man.id, 2, 1)
    man.post(order(man, level=2, months=2)["payment"]["url"])
    assert man.get("/api/vip/me").json["data"]["expires_at"] == "2026-06-10T04:00:00+00:00"
