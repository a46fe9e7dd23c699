"""Flash sales: a buyer gets a ticket, and a task gives each ticket a place or tells that the sale is sold out."""

from datetime import UTC, datetime, timedelta

from flask import current_app
from marshmallow import ValidationError

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.errors import NotFoundError, ParamError, SoldOutError
from swiper.http.schemas import Text
from swiper.ids import new_id
from swiper.vip.memberships import extension_of
from swiper.vip.models import FlashSale, Ticket, TicketState
from swiper.vip.money import MAX_CENTS
from swiper.vip.orders import BATCH, add_order, take_place
from swiper.vip.payments import current_provider
from swiper.vip.queries import purchases
from swiper.vip.queries import sales as queries

# If a ticket is still queued after this many seconds, its task was lost and the sweep serves it.
LOST_AFTER_SECONDS = 5
BOUNDS = {"level": (1, 100), "months": (1, 36), "price": (1, MAX_CENTS), "stock": (1, 10_000_000)}
# Every database can store the times between these, in every time zone.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LONGEST_AHEAD = timedelta(days=36_525)


@transactional
def add_sale(
    name: str, *, level: int, months: int, price_cents: int, stock: int, starts_at: datetime, ends_at: datetime
) -> FlashSale:
    """Create and return a sale. `price_cents` is for all `months`. Raises ParamError that names each wrong field."""
    wanted = {"level": level, "months": months, "price": price_cents, "stock": stock}
    errors = {
        field: ["Out of range."]
        for field, (least, most) in BOUNDS.items()
        if type(wanted[field]) is not int or not least <= wanted[field] <= most
    }
    errors |= _window_errors(starts_at, ends_at)
    try:
        name = Text(shortest=1, longest=64).deserialize(name)
    except ValidationError as error:
        errors["name"] = list(error.messages)
    if errors:
        raise ParamError(errors=errors)
    sale = FlashSale(
        id=new_id(),
        name=name,
        level=level,
        months=months,
        price_cents=price_cents,
        stock=stock,
        sold=0,
        starts_at=starts_at,
        ends_at=ends_at,
    )
    queries.insert_sale(sale)
    return sale


def _window_errors(starts_at: datetime, ends_at: datetime) -> dict[str, list[str]]:
    latest = now() + LONGEST_AHEAD
    window = {"starts_at": starts_at, "ends_at": ends_at}
    errors = {field: ["Out of range."] for field, at in window.items() if not EARLIEST <= at <= latest}
    if not errors and starts_at >= ends_at:
        errors["ends_at"] = ["The end must come after the beginning."]
    return errors


@transactional
def close_sale(sale_id: int) -> FlashSale:
    """End a sale now and return it. Tickets that are queued are still served.

    Raises NotFoundError if there is no such sale, ParamError if it has ended.
    """
    sale = queries.lock_sale(sale_id)
    if sale is None:
        raise NotFoundError()
    if sale.ends_at <= now():
        raise ParamError("The sale is not open.")
    sale.ends_at = now()
    # A sale that has not started yet: the database refuses one that ends before it starts.
    sale.starts_at = min(sale.starts_at, sale.ends_at - timedelta(seconds=1))
    return sale


def list_sales() -> list[FlashSale]:
    """Return the sales that have not ended, the next to end first."""
    return queries.sales_that_end_after(now())


@transactional
def queue_up(uid: int, sale_id: int) -> tuple[Ticket, bool]:
    """Return the user's only ticket for a sale, and True if this call has queued it.

    A second call changes nothing. A ticket that was sold out, or whose order was released, is queued again. Raises
    NotFoundError; ParamError if the sale is not open, if the buyer has left places unpaid too often, or if the
    membership would expire too late; SoldOutError if no place is left; UnavailableError without a payment provider.
    """
    current_provider()
    sale = queries.find_sale(sale_id)
    if sale is None:
        raise NotFoundError()
    if not sale.starts_at <= now() < sale.ends_at:
        raise ParamError("The sale is not open.")
    ticket = queries.lock_ticket_of_sale(uid, sale_id)
    if ticket is not None and ticket.state in (TicketState.QUEUED, TicketState.ORDERED):
        return ticket, False
    if ticket is not None and ticket.lapses >= current_app.config["SALE_UNPAID_HOLDS"]:
        raise ParamError("You have left your place in this sale unpaid too often.")
    if sale.sold >= sale.stock:
        raise SoldOutError()
    extension_of(uid, purchases.find_membership(uid), sale.level, sale.months, sale.price_cents)
    if ticket is None:
        return _first_ticket(uid, sale_id)
    ticket.state, ticket.order_id, ticket.queued_at = TicketState.QUEUED, None, now()
    return ticket, True


def _first_ticket(uid: int, sale_id: int) -> tuple[Ticket, bool]:
    ticket = None
    while ticket is None:
        ticket_id = new_id()
        ticket = queries.insert_ticket(uid, ticket_id, sale_id, now())
    return ticket, ticket.id == ticket_id


def find_ticket(uid: int, ticket_id: int) -> Ticket:
    """Return a ticket of this user. Raises NotFoundError."""
    ticket = queries.find_ticket(uid, ticket_id)
    if ticket is None:
        raise NotFoundError()
    return ticket


@transactional
def serve_ticket(uid: int, ticket_id: int) -> TicketState | None:
    """Give a queued ticket a place and an order, or mark it as sold out. Return its state, or None if it is gone.

    It is safe to call again: only a queued ticket is served, and place and order are stored in one transaction.
    """
    ticket = queries.lock_ticket(uid, ticket_id)
    if ticket is None or ticket.state is not TicketState.QUEUED:
        return ticket.state if ticket else None
    sale = take_place(ticket.sale_id)
    if sale is None:
        ticket.state = TicketState.SOLD_OUT
        return ticket.state
    order = add_order(uid, sale.level, sale.months, sale.price_cents, sale.id)
    ticket.state, ticket.order_id = TicketState.ORDERED, order.id
    return ticket.state


def lost_tickets() -> list[tuple[int, int]]:
    """Return user id and ticket id of up to `BATCH` tickets whose task was lost, the first in the queue first."""
    return queries.queued_tickets(now() - timedelta(seconds=LOST_AFTER_SECONDS), BATCH)
