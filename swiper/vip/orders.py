"""Orders: made, paid once, granted once, or released when nobody pays."""

import logging
from datetime import timedelta

from flask import current_app
from sqlalchemy import select, update

from swiper.dialect import after_commit, now, transactional
from swiper.errors import NotFoundError, ParamError, PaymentError
from swiper.extensions import db
from swiper.ids import new_id
from swiper.vip.levels import announce, find_level, grant, list_levels
from swiper.vip.models import FlashSale, Order, OrderState, Ticket, TicketState
from swiper.vip.payments import PaymentNotice, current_provider

log = logging.getLogger(__name__)

# What one sweep takes at most; the next one goes on.
BATCH = 5_000


@transactional
def create_order(uid: int, level: int, months: int) -> Order:
    """Order `months` of `level` at today's price. Raises ParamError for a level that is not for sale."""
    if level < 1 or level not in [known.level for known in list_levels()]:
        raise ParamError(errors={"level": ["Not one of the choices."]})
    return add_order(uid, level, months, find_level(level).price_cents * months)


def add_order(uid: int, level: int, months: int, amount_cents: int, sale_id: int | None = None) -> Order:
    """Add a pending order to the running transaction."""
    order = Order(
        id=new_id(),
        uid=uid,
        level=level,
        months=months,
        amount_cents=amount_cents,
        currency="CNY",
        provider=current_provider().name,
        state=OrderState.PENDING,
        sale_id=sale_id,
    )
    db.session.add(order)
    db.session.flush()
    return order


def find_order(uid: int, order_id: int) -> Order:
    """The caller's own order; anybody else's is as absent as one that does not exist."""
    order = db.session.get(Order, order_id)
    if order is None or order.uid != uid:
        raise NotFoundError()
    return order


@transactional
def settle(provider: str, notice: PaymentNotice) -> Order:
    """Take note of a payment and grant what was bought, once however often the notice comes.

    Raises PaymentError where order, amount or currency are not those we asked for.
    """
    order = db.session.get(Order, notice.order_id, with_for_update=True, populate_existing=True)
    if order is None or order.provider != provider:
        raise _refused(notice, "There is no such order.")
    if notice.amount_cents != order.amount_cents:
        raise _refused(notice, "The amount differs.")
    if notice.currency != order.currency:
        raise _refused(notice, "The currency differs.")
    if order.state in (OrderState.PAID, OrderState.REFUND_DUE):
        # The process that granted it may have died before it told anybody; that is why the notice comes again.
        after_commit(lambda: announce(order.uid))
        if order.payment_id != notice.payment_id:
            log.error("order %d was paid a second time, by payment %s: refund it", order.id, notice.payment_id)
        return order
    is_late = order.state is OrderState.RELEASED and order.sale_id is not None
    order.payment_id, order.paid_at = notice.payment_id, now()
    if is_late and not _take_back_place(order):
        order.state = OrderState.REFUND_DUE
        log.error("order %d was paid after its place in the sale was released: refund it", order.id)
        return order
    order.state = OrderState.PAID
    grant(order.uid, order.level, order.months)
    return order


def _refused(notice: PaymentNotice, reason: str) -> PaymentError:
    """The signature was right, so somebody may have paid: an operator must see what was not taken."""
    log.error("payment %s for order %d is refused, look into it: %s", notice.payment_id, notice.order_id, reason)
    return PaymentError(reason)


def _take_back_place(order: Order) -> bool:
    """Give an order whose own place was released a place again; False when none is left for its buyer.

    A buyer who has queued up again meanwhile keeps to one place: that of an unpaid second order moves over.
    """
    query = select(Ticket).where(Ticket.uid == order.uid, Ticket.sale_id == order.sale_id)
    ticket = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()
    if ticket.state is TicketState.ORDERED:
        second = db.session.get_one(Order, ticket.order_id, with_for_update=True, populate_existing=True)
        if second.state is not OrderState.PENDING:
            return False
        second.state = OrderState.RELEASED
    elif not take_place(ticket.sale_id):
        return False
    ticket.state, ticket.order_id = TicketState.ORDERED, order.id
    return True


def take_place(sale_id: int) -> bool:
    """Take one of the sale's places in the running transaction; the row lock makes buyers take turns."""
    sale = db.session.get(FlashSale, sale_id, with_for_update=True, populate_existing=True)
    if sale is None or sale.sold >= sale.stock:
        return False
    sale.sold += 1
    return True


def unpaid_orders() -> list[int]:
    """Ids of orders that nobody paid in time, the oldest first."""
    limit = now() - timedelta(seconds=current_app.config["ORDER_TTL_SECONDS"])
    query = select(Order.id).where(Order.state == OrderState.PENDING, Order.created_at < limit)
    return list(db.session.scalars(query.order_by(Order.created_at).limit(BATCH)))


def release_orders_of(uid: int) -> None:
    """Release the pending orders of an account that is being deleted, in the running transaction.

    Its tickets are locked first, so that no task makes a further order out of one of them.
    """
    db.session.scalars(select(Ticket.id).where(Ticket.uid == uid).with_for_update()).all()
    pending = select(Order.id).where(Order.uid == uid, Order.state == OrderState.PENDING)
    for order_id in db.session.scalars(pending).all():
        release_order(order_id)


@transactional
def release_order(order_id: int) -> bool:
    """Give up a pending order, with its flash sale place; False where it is no longer pending."""
    order = db.session.get(Order, order_id, with_for_update=True, populate_existing=True)
    if order is None or order.state is not OrderState.PENDING:
        return False
    order.state = OrderState.RELEASED
    if order.sale_id is not None:
        sale = db.session.get_one(FlashSale, order.sale_id, with_for_update=True, populate_existing=True)
        sale.sold -= 1
        db.session.execute(
            update(Ticket)
            .where(Ticket.uid == order.uid, Ticket.sale_id == order.sale_id, Ticket.order_id == order.id)
            .values(state=TicketState.RELEASED)
        )
    return True
