"""What buyers do at a flash sale, and what must be true of the sale afterwards."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from sqlalchemy import select

from swiper.extensions import db
from swiper.vip.models import FlashSale, Order, OrderState, Ticket, TicketState
from swiper.vip.sales import serve_ticket
from tests.factories import Person

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)


def queue_up(person: Person, sale_id: int) -> Any:
    return person.post("/api/vip/qbuy", sale_id=str(sale_id))


def serve(app: Flask, person: Person, ticket: str) -> None:
    with app.app_context():
        serve_ticket(person.id, int(ticket))


def buy(app: Flask, person: Person, sale_id: int) -> dict[str, Any]:
    """Queue up and be served; the ticket as it then is."""
    answer = queue_up(person, sale_id)
    assert answer.status_code == 200, answer.json
    serve(app, person, answer.json["data"]["ticket"])
    shown: dict[str, Any] = person.get(f"/api/vip/qbuy/{answer.json['data']['ticket']}").json["data"]
    return shown


def pay(person: Person, order_id: str) -> str:
    state: str = person.post(f"/api/vip/payments/sandbox/checkout/{order_id}").json["data"]["state"]
    return state


def assert_exact(app: Flask, sale_id: int) -> Counter[OrderState]:
    """Every place taken is one buyer's order that counts, and no buyer has two; the orders by state."""
    with app.app_context():
        sale = db.session.get_one(FlashSale, sale_id)
        orders = list(db.session.scalars(select(Order).where(Order.sale_id == sale_id)))
        holding = [order for order in orders if order.state in (OrderState.PENDING, OrderState.PAID)]
        assert sale.sold == len(holding) <= sale.stock
        assert len({order.uid for order in holding}) == len(holding)
        ordered = db.session.scalars(select(Ticket).where(Ticket.state == TicketState.ORDERED))
        assert {ticket.order_id for ticket in ordered} == {order.id for order in holding}
        return Counter(order.state for order in orders)
