"""Sales and orders as operators list them."""

from sqlalchemy import select

from swiper.errors import NotFoundError
from swiper.extensions import db
from swiper.vip.models import FlashSale, Order, OrderState


def newest_sales(limit: int, below: int | None = None) -> list[FlashSale]:
    """Sales with ids lower than `below`, over or not, the newest first."""
    query = select(FlashSale).order_by(FlashSale.id.desc()).limit(limit)
    return list(db.session.scalars(query if below is None else query.where(FlashSale.id < below)))


def newest_orders(
    limit: int, *, below: int | None = None, state: OrderState | None = None, uid: int | None = None
) -> list[Order]:
    """Orders made before the order `below`, the newest first, in one state or of one person.

    One state is read along the index by state and time, so that a rare one is found without the others.
    """
    place = (Order.created_at, Order.id) if state else (Order.id,)
    query = select(Order).order_by(*[column.desc() for column in place]).limit(limit)
    if state:
        query = query.where(Order.state == state)
    if uid is not None:
        query = query.where(Order.uid == uid)
    last = db.session.get(Order, below) if below is not None else None
    if last is not None and state:
        is_older = (Order.created_at == last.created_at) & (Order.id < last.id)
        query = query.where(Order.created_at <= last.created_at, (Order.created_at < last.created_at) | is_older)
    elif below is not None:
        query = query.where(Order.id < below)
    return list(db.session.scalars(query.execution_options(everywhere="The desk lists orders of any id.")))


def find_order(order_id: int) -> Order:
    """An order, whoever's it is. Raises NotFoundError."""
    order = db.session.get(Order, order_id, populate_existing=True)
    if order is None:
        raise NotFoundError()
    return order
