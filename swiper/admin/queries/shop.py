"""Flash sales and orders as operators list them."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, select

from swiper.extensions import db
from swiper.vip.models import FlashSale, Order, OrderState


def newest_sales(limit: int, below: int | None = None) -> Sequence[FlashSale]:
    """Flash sales with ids lower than `below`, also those that are over, the newest first."""
    query = select(FlashSale).order_by(FlashSale.id.desc()).limit(limit)
    return db.session.scalars(query if below is None else query.where(FlashSale.id < below)).all()


def newest_orders(limit: int, *, below: int | None, state: OrderState | None, uid: int | None) -> Sequence[Order]:
    """At most `limit` orders that were made before the order `below`, the newest first. None means no filter.

    Orders in one state are read from the index of state and time, so that a rare state is found without the others.
    """
    query = select(Order) if uid is None else select(Order).where(Order.uid == uid)
    if state is None:
        query = query.order_by(Order.id.desc())
    else:
        query = query.where(Order.state == state).order_by(Order.created_at.desc(), Order.id.desc())
    if below is not None:
        query = query.where(_is_before(below, state))
    return db.session.scalars(query.limit(limit).execution_options(everywhere="The list has orders of any id.")).all()


def _is_before(order_id: int, state: OrderState | None) -> ColumnElement[bool]:
    last = db.session.get(Order, order_id) if state is not None else None
    if last is None:
        return Order.id < order_id
    is_older = (Order.created_at == last.created_at) & (Order.id < last.id)
    # The first condition limits the part of the index that is read.
    return and_(Order.created_at <= last.created_at, (Order.created_at < last.created_at) | is_older)
