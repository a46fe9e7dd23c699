"""Orders: made, paid once, granted once, or released when nobody pays."""

import logging
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import delete, select, update

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.errors import NotFoundError, ParamError, PaymentError, RateLimitedError
from swiper.extensions import db
from swiper.ids import new_id
from swiper.vip.credit import MembershipLimitError
from swiper.vip.levels import find_level, list_levels
from swiper.vip.memberships import extension_of, grant, lock_membership
from swiper.vip.models import FlashSale, Order, OrderState, Ticket, TicketState
from swiper.vip.payments import PaymentNotice, current_provider

log = logging.getLogger(__name__)

# What one sweep takes at most; the next one goes on.
BATCH = 5_000
# Rows that one transaction deletes.
PURGED = 500


@transactional
def create_order(uid: int, level: int, months: int) -> Order:
    """Order `months` of `level` at today's price.

    Raises ParamError for a level that is not for sale and for more time than a membership may have ahead,
    RateLimitedError while too many of the caller's orders wait for their payment.
    """
    if level < 1 or level not in [known.level for known in list_levels()]:
        raise ParamError(errors={"level": ["Not one of the choices."]})
    amount_cents = find_level(level).price_cents * months
    # Its lock makes one buyer's orders take turns, so that they are counted exactly.
    extension_of(uid, lock_membership(uid), level, months, amount_cents)
    _check_pending(uid)
    return add_order(uid, level, months, amount_cents)


def _check_pending(uid: int) -> None:
    times = select(Order.created_at).where(Order.uid == uid, Order.state == OrderState.PENDING)
    times = times.execution_options(everywhere="Orders are distributed by their own id.")
    pending = sorted(db.session.scalars(times))
    if len(pending) < current_app.config["PENDING_ORDERS_PER_USER"]:
        return
    released_at = pending[0] + timedelta(seconds=current_app.config["ORDER_TTL_SECONDS"])
    raise RateLimitedError((released_at - now()).total_seconds(), "Pay one of your open orders first, or wait.")


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
def confirm_payment(provider: str, notice: PaymentNotice) -> Order:
    """Take note of a payment and grant what was bought, once however often the notice comes.

    What cannot be granted any more is `refund_due`, for an operator to pay back. Raises PaymentError where order,
    amount or currency are not those we asked for.
    """
    order = _lock_order_of(provider, notice)
    if order.state in (OrderState.PAID, OrderState.REFUND_DUE):
        if order.payment_id != notice.payment_id:
            log.error("order %d was paid a second time, by payment %s: refund it", order.id, notice.payment_id)
        return order
    order.payment_id, order.paid_at = notice.payment_id, now()
    if now() > _payable_until(order):
        return _owe_refund(order, "was paid too late")
    if order.state is OrderState.RELEASED and order.sale_id is not None:
        if not _take_back_place(order):
            return _owe_refund(order, "was paid after its place in the sale was released")
        order.state = OrderState.PENDING
    try:
        grant(order.uid, order.level, order.months, order.amount_cents)
    except MembershipLimitError:
        return _owe_refund(order, "would extend the membership too far ahead")
    order.state = OrderState.PAID
    return order


def _lock_order_of(provider: str, notice: PaymentNotice) -> Order:
    order = db.session.get(Order, notice.order_id, with_for_update=True, populate_existing=True)
    if order is None or order.provider != provider:
        raise _refused(notice, "There is no such order.")
    if notice.amount_cents != order.amount_cents:
        raise _refused(notice, "The amount differs.")
    if notice.currency != order.currency:
        raise _refused(notice, "The currency differs.")
    return order


def _payable_until(order: Order) -> datetime:
    """A notice may be under way when the order is released; later than this the price is out of date."""
    seconds = current_app.config["ORDER_TTL_SECONDS"] + current_app.config["ORDER_GRACE_SECONDS"]
    return order.created_at + timedelta(seconds=seconds)


def _owe_refund(order: Order, reason: str) -> Order:
    if order.state is OrderState.PENDING:
        _give_up_place(order, is_lapse=False)
    order.state = OrderState.REFUND_DUE
    log.error("order %d %s: refund it", order.id, reason)
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
    ticket = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).first()
    if ticket is None:
        return False
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
    query = query.order_by(Order.created_at).limit(BATCH)
    return list(db.session.scalars(query.execution_options(everywhere="The sweep looks for orders of any id.")))


def release_orders_of(uid: int) -> None:
    """Release the pending orders of an account that is being deleted, in the running transaction.

    Its tickets are locked first, so that no task makes a further order out of one of them.
    """
    db.session.scalars(select(Ticket.id).where(Ticket.uid == uid).with_for_update()).all()
    pending = select(Order.id).where(Order.uid == uid, Order.state == OrderState.PENDING)
    pending = pending.execution_options(everywhere="Orders are distributed by their own id.")
    for order_id in db.session.scalars(pending).all():
        release_order(order_id)


@transactional
def release_order(order_id: int) -> bool:
    """Give up a pending order, with its flash sale place; False where it is no longer pending."""
    order = db.session.get(Order, order_id, with_for_update=True, populate_existing=True)
    if order is None or order.state is not OrderState.PENDING:
        return False
    _give_up_place(order, is_lapse=True)
    order.state = OrderState.RELEASED
    return True


def _give_up_place(order: Order, *, is_lapse: bool) -> None:
    """Free the place in a sale that a pending order holds; a lapse counts against its buyer."""
    if order.sale_id is None:
        return
    sale = db.session.get_one(FlashSale, order.sale_id, with_for_update=True, populate_existing=True)
    sale.sold -= 1
    db.session.execute(
        update(Ticket)
        .where(Ticket.uid == order.uid, Ticket.sale_id == order.sale_id, Ticket.order_id == order.id)
        .values(state=TicketState.RELEASED, lapses=Ticket.lapses + int(is_lapse))
    )


@transactional
def purge_orders() -> int:
    """Delete some orders that were released long ago, and the tickets of sales that are long over; how many it was."""
    limit = now() - timedelta(days=current_app.config["RELEASED_ORDER_DAYS"])
    query = select(Order.id).where(Order.state == OrderState.RELEASED, Order.created_at < limit)
    query = query.order_by(Order.created_at).limit(PURGED)
    old = list(db.session.scalars(query.execution_options(everywhere="The purge looks for orders of any id.")))
    if old:
        # One that is paid at this moment is released no more.
        db.session.execute(delete(Order).where(Order.id.in_(old), Order.state == OrderState.RELEASED))
    over = list(db.session.scalars(select(FlashSale.id).where(FlashSale.ends_at < limit)))
    unserved = Ticket.state.in_((TicketState.SOLD_OUT, TicketState.RELEASED))
    tickets = select(Ticket.uid, Ticket.id).where(unserved, Ticket.queued_at < limit, Ticket.sale_id.in_(over))
    tickets = tickets.limit(PURGED).execution_options(everywhere="The purge looks for tickets of anybody.")
    gone = list(db.session.execute(tickets))
    for uid, ticket_id in gone:
        db.session.execute(delete(Ticket).where(Ticket.uid == uid, Ticket.id == ticket_id, unserved))
    return len(old) + len(gone)
