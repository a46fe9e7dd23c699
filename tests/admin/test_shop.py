"""Bans, levels, sales and orders on the desk."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from swiper.admin.shop import newest_orders
from swiper.bans.services import ban_network
from swiper.clock import now
from swiper.extensions import db
from swiper.vip.models import FlashSale, Order, OrderState
from swiper.vip.orders import add_order, release_order
from swiper.vip.sales import add_sale
from tests.admin.conftest import AdminClient
from tests.factories import People

# --- bans ---


def test_a_ban_counts_at_once_and_until_it_is_lifted(app: Flask, client: FlaskClient, admin: AdminClient) -> None:
    def answers() -> int:
        status: int = client.get("/api/vip/levels", environ_base={"REMOTE_ADDR": "203.0.113.9"}).status_code
        return status

    page = admin.change("/admin/bans", network="203.0.113.0/24", reason="scraping")
    assert "203.0.113.0/24" in page
    assert "scraping" in page
    assert answers() == 403
    page = admin.change("/admin/bans/lift", network="203.0.113.0/24")
    assert "The ban is lifted." in page
    assert "Nobody is banned." in page
    assert answers() == 200
    assert "There was no such ban." in admin.change("/admin/bans/lift", network="203.0.113.0/24")


@pytest.mark.parametrize("network", ["127.0.0.1", "127.0.0.0/8", "0.0.0.0/0", "::ffff:127.0.0.1"])
def test_an_operator_cannot_lock_out_their_own_address(admin: AdminClient, network: str) -> None:
    answer = admin.post("/admin/bans", network=network)
    assert answer.status_code == 422
    assert "lock you out" in answer.text
    assert admin.get("/admin/bans").status_code == 200


@pytest.mark.parametrize("network", ["", "nonsense", "1.2.3.4/33", "x" * 65])
def test_what_is_no_network_is_told(admin: AdminClient, network: str) -> None:
    assert admin.post("/admin/bans", network=network).status_code == 422


def test_bans_of_the_command_line_are_listed_too(app: Flask, admin: AdminClient) -> None:
    with app.app_context():
        ban_network("198.51.100.7", "by hand", now() + timedelta(hours=1))
        db.session.remove()
    assert "198.51.100.7/32" in admin.read("/admin/bans")


# --- levels ---


def test_a_changed_level_is_what_everybody_sees_and_may_do(
    client: FlaskClient, people: People, admin: AdminClient
) -> None:
    person = people.add(vip=1)
    before = client.get("/api/vip/levels")
    assert person.get("/api/vip/me").json["data"]["permissions"] == ["vipflag", "superlike"]
    admin.change("/admin/levels/1", name="Bronze", price="12.30", permissions=["rewind", "who_liked_me"])
    after = client.get("/api/vip/levels")
    assert after.json["data"][1] == {
        "level": 1,
        "name": "Bronze",
        "price": 12.3,
        "permissions": ["rewind", "who_liked_me"],
    }
    assert after.headers["ETag"] != before.headers["ETag"]
    data = person.get("/api/vip/me").json["data"]
    assert (data["name"], data["permissions"]) == ("Bronze", ["rewind", "who_liked_me"])
    assert person.superlike(people.woman()).json["code"] == 1004
    assert person.get("/api/social/liked_me").status_code == 200
    assert person.post("/api/vip/orders", level=1, months=2).json["data"]["amount"] == 24.6


def test_orders_that_were_made_keep_their_price(people: People, admin: AdminClient) -> None:
    person = people.add()
    order = person.post("/api/vip/orders", level=1, months=1).json["data"]
    admin.change("/admin/levels/1", name="会员-1", price="99", permissions=["vipflag"])
    assert person.get(f"/api/vip/orders/{order['id']}").json["data"]["amount"] == order["amount"]


@pytest.mark.parametrize("price", ["", "-1", "1.234", "1e3", "12345678", "NaN", "１"])
def test_what_is_no_amount_is_told(client: FlaskClient, admin: AdminClient, price: str) -> None:
    before = client.get("/api/vip/levels").json
    answer = admin.post("/admin/levels/1", name="x", price=price)
    assert answer.status_code == 422
    assert "price" in answer.text
    assert client.get("/api/vip/levels").json == before


def test_a_permission_that_does_not_exist_cannot_be_given(client: FlaskClient, admin: AdminClient) -> None:
    before = client.get("/api/vip/levels").json
    assert admin.post("/admin/levels/1", name="x", price="1", permissions=["vipflag", "root"]).status_code == 422
    assert client.get("/api/vip/levels").json == before


@pytest.mark.parametrize("number", ["99", "9" * 20])
def test_a_level_that_does_not_exist_cannot_be_changed(admin: AdminClient, number: str) -> None:
    assert admin.post(f"/admin/levels/{number}", name="x", price="1").status_code == 404


def test_a_level_may_lose_all_of_its_permissions(client: FlaskClient, admin: AdminClient) -> None:
    admin.change("/admin/levels/3", name="plain", price="0.00")
    assert client.get("/api/vip/levels").json["data"][3]["permissions"] == []


# --- sales ---

SALE = {"name": "双十一", "level": "2", "months": "3", "price": "9.9", "stock": "100"}


def test_a_sale_is_set_up_bought_from_and_closed(app: Flask, people: People, admin: AdminClient) -> None:
    window = {"starts_at": "2026-01-01T00:00", "ends_at": "2099-01-01T00:00"}
    page = admin.change("/admin/sales", **SALE, **window)
    assert "双十一" in page
    with app.app_context():
        sale = db.session.scalars(db.select(FlashSale)).one()
        assert (sale.level, sale.months, sale.price_cents, sale.stock) == (2, 3, 990, 100)
        # The form's times are those of Asia/Shanghai.
        assert sale.starts_at.isoformat() == "2025-12-31T16:00:00+00:00"
        sale_id = sale.id
        db.session.remove()
    queued = people.add()
    assert queued.post("/api/vip/qbuy", sale_id=str(sale_id)).status_code in (200, 201)
    page = admin.change(f"/admin/sales/{sale_id}/close")
    assert "The sale is closed." in page
    assert "over" in page
    answer = people.add().post("/api/vip/qbuy", sale_id=str(sale_id))
    assert answer.json["code"] == 1005
    assert admin.post(f"/admin/sales/{sale_id}/close").status_code == 422


def test_a_sale_still_to_come_is_closed_for_good(app: Flask, people: People, admin: AdminClient) -> None:
    with app.app_context():
        soon = now() + timedelta(days=1)
        sale_id = add_sale(
            "soon", level=1, months=1, price_cents=1, stock=1, starts_at=soon, ends_at=soon + timedelta(days=1)
        ).id
        db.session.remove()
    admin.change(f"/admin/sales/{sale_id}/close")
    assert people.add().get("/api/vip/sales").json["data"] == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"level": "0"}, "Out of range."),
        ({"level": "9"}, "Not one of the choices."),
        ({"months": "37"}, "Out of range."),
        ({"stock": "0"}, "Out of range."),
        ({"stock": "many"}, "Not a valid integer."),
        *[({"price": price}, "Not a valid amount.") for price in ("free", "nan", "inf", "-1", "1e5", "0.005", "9" * 9)],
        ({"price": "0"}, "Out of range."),
        ({"stock": "10000001"}, "Out of range."),
        ({"name": "x" * 65}, "Wrong length."),
        ({"ends_at": "9999-12-31T00:00"}, "Out of range."),
        ({"starts_at": "0001-01-02T00:00"}, "Out of range."),
        ({"ends_at": "2026-01-01T00:00"}, "The end must be in the future."),
        ({"starts_at": "2031-01-01T00:00"}, "The end must come after the beginning."),
        ({"name": ""}, "name"),
    ],
)
def test_a_sale_that_makes_no_sense_is_refused(
    app: Flask, admin: AdminClient, changes: dict[str, str], complaint: str
) -> None:
    form = SALE | {"starts_at": "2029-01-01T00:00", "ends_at": "2030-01-01T00:00"} | changes
    answer = admin.post("/admin/sales", **form)
    assert answer.status_code == 422
    assert complaint in answer.text
    with app.app_context():
        assert db.session.scalars(db.select(FlashSale)).all() == []


# --- orders ---


def orders_on(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'href="/admin/orders/(\d+)"', page)]


def test_orders_are_listed_by_state_and_buyer(app: Flask, people: People, admin: AdminClient) -> None:
    one, other = people.add(), people.add()
    with app.app_context():
        made = [add_order(uid, 1, 1, 500).id for uid in (one.id, other.id, one.id)]
        db.session.commit()
        release_order(made[0])
        db.session.remove()
    assert orders_on(admin.read("/admin/orders")) == made[::-1]
    assert orders_on(admin.read("/admin/orders", state="released")) == [made[0]]
    assert orders_on(admin.read("/admin/orders", state="pending", uid=one.id)) == [made[2]]
    assert orders_on(admin.read("/admin/orders", state="", uid=other.id)) == [made[1]]
    assert admin.get("/admin/orders", state="stolen").status_code == 422
    page = admin.read(f"/admin/orders/{made[1]}")
    assert str(other.id) in page
    assert "5.00 CNY" in page
    assert admin.get("/admin/orders/" + "9" * 18).status_code == 404


@pytest.mark.parametrize("state", [None, OrderState.PENDING])
def test_pages_of_orders_neither_repeat_nor_skip(app: Flask, state: OrderState | None) -> None:
    with app.app_context():
        moment = now()
        for number in range(11):
            # Several made at the same moment.
            add_order(7, 1, 1, 100).created_at = moment + timedelta(seconds=number // 4)
        add_order(7, 1, 1, 100).state = OrderState.RELEASED
        db.session.commit()
        found: list[Order] = []
        while batch := newest_orders(3, state=state, below=found[-1].id if found else None):
            found += batch
    assert len({order.id for order in found}) == len(found) == (11 if state else 12)
    assert [order.id for order in found] == sorted((order.id for order in found), reverse=True)
