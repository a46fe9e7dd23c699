"""Orders: created, paid and granted once, or released if they are not paid in time."""

import logging
from datetime import datetime, timedelta

from flask import current_app

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.errors import NotFoundError, ParamError, PaymentError, RateLimitedError
from swiper.ids import new_id
from swiper.vip.levels import find_level, list_levels
from swiper.vip.memberships import MembershipLimitError, extension_of, grant
from swiper.vip.models import FlashSale, Order, OrderState, TicketState
from swiper.vip.payments import PaymentNotice, current_provider
from swiper.vip.queries import purchases as queries
from swiper.vip.queries import sales as sale_queries

log = logging.getLogger(__name__)

# How many orders or tickets one sweep takes. The next sweep takes the rest.
BATCH = 5_000
# How many rows of each table one transaction deletes.
PURGED = 500


@transactional
def create_order(uid: int, level: int, months: int) -> Order:
    """Create and return a pending order of `months` of `level` at today's price.

    Raises ParamError for a level that is not for sale, MembershipLimitError for a membership that would expire too
    late, RateLimitedError while too many orders of the buyer are pending, UnavailableError without a provider.
    """
    if level < 1 or level not in [known.level for known in list_levels()]:
        raise ParamError(errors={"level": ["Not one of the choices."]})
    amount_cents = find_level(level).price_cents * months
    # The lock lets only one request of a buyer create an order at a time, so that pending orders are counted exactly.
    extension_of(uid, queries.lock_membership(uid, now()), level, months, amount_cents)
    _check_pending_orders(uid)
    return add_order(uid, level, months, amount_cents)


def _check_pending_orders(uid: int) -> None:
    pending = queries.pending_orders(uid)
    if len(pending) < current_app.config["PENDING_ORDERS_PER_USER"]:
        return
    _, created_at = pending[0]
    released_at = created_at + timedelta(seconds=current_app.config["ORDER_TTL_SECONDS"])
    raise RateLimitedError((released_at - now()).total_seconds(), "Pay one of your open orders first, or wait.")


def add_order(uid: int, level: int, months: int, amount_cents: int, sale_id: int | None = None) -> Order:
    """Insert a pending order in the running transaction and return it. Raises UnavailableError without a provider."""
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
    queries.insert_order(order)
    return order


def find_order(uid: int, order_id: int) -> Order:
    """Return an order of this user. Raises NotFoundError, also for an order of somebody else."""
    order = queries.find_order(order_id)
    if order is None or order.uid != uid:
        raise NotFoundError()
    return order


@transactional
def confirm_payment(provider: str, notice: PaymentNotice) -> Order:
    """Store a payment and grant the membership, once even if the notice comes again. Return the order.

    An order that cannot be granted any more becomes `refund_due`, and an operator pays it back. Raises PaymentError if
    there is no such order of this provider, or if amount or currency are not those of the order.
    """
    order = _lock_order_of(provider, notice)
    if order.state in (OrderState.PAID, OrderState.REFUND_DUE):
        if order.payment_id != notice.payment_id:
            log.error("order %d was paid a second time, by payment %s: refund it", order.id, notice.payment_id)
        return order
    order.payment_id, order.paid_at = notice.payment_id, now()
    if now() > _payable_until(order):
        return _mark_refund_due(order, "was paid too late")
    if order.state is OrderState.RELEASED and order.sale_id is not None:
        if not _take_back_place(order, order.sale_id):
            return _mark_refund_due(order, "was paid after its place in the sale was released")
        order.state = OrderState.PENDING
    try:
        grant(order.uid, order.level, order.months, order.amount_cents)
    except MembershipLimitError:
        return _mark_refund_due(order, "would extend the membership too far ahead")
    order.state = OrderState.PAID
    return order


def _lock_order_of(provider: str, notice: PaymentNotice) -> Order:
    order = queries.lock_order(notice.order_id)
    if order is None or order.provider != provider:
        raise _refused(notice, "There is no such order.")
    if notice.amount_cents != order.amount_cents:
        raise _refused(notice, "The amount differs.")
    if notice.currency != order.currency:
        raise _refused(notice, "The currency differs.")
    return order


def _payable_until(order: Order) -> datetime:
    """Return until when a payment is accepted. The grace time is for notices that arrive after the release."""
    seconds = current_app.config["ORDER_TTL_SECONDS"] + current_app.config["ORDER_GRACE_SECONDS"]
    return order.created_at + timedelta(seconds=seconds)


def _mark_refund_due(order: Order, reason: str) -> Order:
    if order.state is OrderState.PENDING:
        _give_up_place(order, lapses=0)
    order.state = OrderState.REFUND_DUE
    log.error("order %d %s: refund it", order.id, reason)
    return order


def _refused(notice: PaymentNotice, reason: str) -> PaymentError:
    """Log and return the error. The signature was right, so money may have been paid: an operator must see it."""
    log.error("payment %s for order %d is refused, look into it: %s", notice.payment_id, notice.order_id, reason)
    return PaymentError(reason)


def _take_back_place(order: Order, sale_id: int) -> bool:
    """Give a released order a place in its sale again. Return False if there is none for its buyer.

    A buyer has at most one place. If the buyer has a second order that is not paid, this order takes its place.
    """
    ticket = sale_queries.lock_ticket_of_sale(order.uid, sale_id)
    if ticket is None:
        return False
    if ticket.state is TicketState.ORDERED:
        assert ticket.order_id is not None
        second = queries.lock_order(ticket.order_id)
        if second is None or second.state is not OrderState.PENDING:
            return False
        second.state = OrderState.RELEASED
    elif take_place(sale_id) is None:
        return False
    ticket.state, ticket.order_id = TicketState.ORDERED, order.id
    return True


def take_place(sale_id: int) -> FlashSale | None:
    """Take one place of a sale in the running transaction. Return the sale, which stays locked, or None if sold out."""
    sale = sale_queries.lock_sale(sale_id)
    if sale is None or sale.sold >= sale.stock:
        return None
    sale.sold += 1
    return sale


def unpaid_orders() -> list[int]:
    """Return the ids of up to `BATCH` orders that were not paid in time, the oldest first."""
    limit = now() - timedelta(seconds=current_app.config["ORDER_TTL_SECONDS"])
    return queries.oldest_orders(OrderState.PENDING, limit, BATCH)


def release_orders_of(uid: int) -> None:
    """Release the pending orders of an account that is being deleted, in the running transaction.

    The tickets are locked first, so that no task creates a further order for one of them.
    """
    sale_queries.lock_tickets_of(uid)
    for order_id, _ in queries.pending_orders(uid):
        release_order(order_id)


@transactional
def release_order(order_id: int) -> bool:
    """Release a pending order and its place in a flash sale. Return False if the order is not pending."""
    order = queries.lock_order(order_id)
    if order is None or order.state is not OrderState.PENDING:
        return False
    _give_up_place(order, lapses=1)
    order.state = OrderState.RELEASED
    return True


def _give_up_place(order: Order, *, lapses: int) -> None:
    """Give back the place in a sale that a pending order holds. `lapses` is added to the count of its buyer."""
    if order.sale_id is None:
        return
    sale = sale_queries.lock_sale(order.sale_id)
    assert sale is not None  # No sale is ever deleted.
    sale.sold -= 1
    sale_queries.release_ticket(order.uid, order.sale_id, order.id, lapses)


@transactional
def purge_orders() -> int:
    """Delete up to `PURGED` orders that were released long ago, and as many tickets of sales that ended long ago.

    Return how many rows were deleted; 0 means that none is left.
    """
    limit = now() - timedelta(days=current_app.config["RELEASED_ORDER_DAYS"])
    old = queries.oldest_orders(OrderState.RELEASED, limit, PURGED)
    if old:
        queries.delete_released_orders(old)
    tickets = sale_queries.unserved_tickets(sale_queries.sales_that_ended_before(limit), limit, PURGED)
    for uid, ticket_id in tickets:
        sale_queries.delete_unserved_ticket(uid, ticket_id)
    return len(old) + len(tickets)
