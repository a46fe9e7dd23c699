"""Flash sales: buyers queue up with a ticket, a task hands out the places."""

from datetime import UTC, datetime, timedelta

from flask import current_app
from marshmallow import ValidationError
from sqlalchemy import Select, select

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.db.upsert import insert_if_absent
from swiper.errors import NotFoundError, ParamError, SoldOutError
from swiper.extensions import db
from swiper.http.schemas import Text
from swiper.ids import new_id
from swiper.vip.memberships import extension_of
from swiper.vip.models import FlashSale, Membership, Ticket, TicketState
from swiper.vip.money import MAX_CENTS
from swiper.vip.orders import BATCH, add_order, take_place
from swiper.vip.payments import current_provider

# A ticket that still waits after this many seconds has lost its task, and the beat's sweep takes over.
LOST_AFTER_SECONDS = 5
BOUNDS = {"level": (1, 100), "months": (1, 36), "price": (1, MAX_CENTS), "stock": (1, 10_000_000)}
# A window within which all databases, in all time zones, have a moment for everything.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LONGEST_AHEAD = timedelta(days=36_525)


@transactional
def add_sale(
    name: str, *, level: int, months: int, price_cents: int, stock: int, starts_at: datetime, ends_at: datetime
) -> FlashSale:
    """Set up a sale; the price is for the whole period. Raises ParamError that names what makes no sense."""
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
    db.session.add(sale)
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
    """End a sale now; who has queued up by then is still served. Raises NotFoundError, ParamError where it is over."""
    sale = db.session.get(FlashSale, sale_id, with_for_update=True, populate_existing=True)
    if sale is None:
        raise NotFoundError()
    if sale.ends_at <= now():
        raise ParamError("The sale is not open.")
    sale.ends_at = now()
    # Of a sale that was still to come nothing is left but an empty moment: a window cannot end before it begins.
    sale.starts_at = min(sale.starts_at, sale.ends_at - timedelta(seconds=1))
    return sale


def list_sales() -> list[FlashSale]:
    """The sales that are open or still to come, the next to end first."""
    return list(db.session.scalars(select(FlashSale).where(FlashSale.ends_at > now()).order_by(FlashSale.ends_at)))


@transactional
def queue_up(uid: int, sale_id: int) -> tuple[Ticket, bool]:
    """The caller's one ticket for a sale, and whether this call has queued it; asking again changes nothing.

    A ticket that found the sale sold out, or whose order was released, queues again. Raises NotFoundError, ParamError
    outside the sale's window, for a buyer who has let places go unpaid and for more time than a membership may have
    ahead, SoldOutError when no place is left, UnavailableError where nothing can be paid.
    """
    current_provider()
    sale = db.session.get(FlashSale, sale_id, populate_existing=True)
    if sale is None:
        raise NotFoundError()
    if not sale.starts_at <= now() < sale.ends_at:
        raise ParamError("The sale is not open.")
    ticket = _find(uid, sale_id)
    if ticket is not None and ticket.state in (TicketState.QUEUED, TicketState.ORDERED):
        return ticket, False
    if ticket is not None and ticket.lapses >= current_app.config["SALE_UNPAID_HOLDS"]:
        raise ParamError("You have left your place in this sale unpaid too often.")
    if sale.sold >= sale.stock:
        raise SoldOutError()
    extension_of(uid, db.session.get(Membership, uid), sale.level, sale.months, sale.price_cents)
    if ticket is None:
        fresh = new_id()
        row = {"uid": uid, "id": fresh, "sale_id": sale_id, "state": TicketState.QUEUED, "queued_at": now()}
        insert_if_absent(Ticket, [row], ["uid", "sale_id"])
        ticket = db.session.scalars(_own_ticket(uid, sale_id)).one()
        return ticket, ticket.id == fresh
    ticket.state, ticket.order_id, ticket.queued_at = TicketState.QUEUED, None, now()
    return ticket, True


def _find(uid: int, sale_id: int) -> Ticket | None:
    return db.session.scalars(_own_ticket(uid, sale_id).with_for_update()).first()


def _own_ticket(uid: int, sale_id: int) -> Select[Ticket]:
    return select(Ticket).where(Ticket.uid == uid, Ticket.sale_id == sale_id)


def find_ticket(uid: int, ticket_id: int) -> Ticket:
    """The caller's own ticket. Raises NotFoundError."""
    ticket = db.session.get(Ticket, (uid, ticket_id), populate_existing=True)
    if ticket is None:
        raise NotFoundError()
    return ticket


@transactional
def serve_ticket(uid: int, ticket_id: int) -> TicketState | None:
    """Give a queued ticket its place and its order, or tell it that the sale is sold out.

    Safe to run any number of times: only a queued ticket is served, place and order are one transaction.
    """
    ticket = db.session.get(Ticket, (uid, ticket_id), with_for_update=True, populate_existing=True)
    if ticket is None or ticket.state is not TicketState.QUEUED:
        return ticket.state if ticket else None
    if not take_place(ticket.sale_id):
        ticket.state = TicketState.SOLD_OUT
        return ticket.state
    sale = db.session.get_one(FlashSale, ticket.sale_id)
    order = add_order(uid, sale.level, sale.months, sale.price_cents, sale.id)
    ticket.state, ticket.order_id = TicketState.ORDERED, order.id
    return ticket.state


def lost_tickets() -> list[tuple[int, int]]:
    """`(uid, ticket id)` of tickets that no task seems to be serving, in the order of the queue."""
    limit = now() - timedelta(seconds=LOST_AFTER_SECONDS)
    query = select(Ticket.uid, Ticket.id).where(Ticket.state == TicketState.QUEUED, Ticket.queued_at < limit)
    query = query.order_by(Ticket.queued_at).limit(BATCH)
    query = query.execution_options(everywhere="The sweep looks for tickets of anybody.")
    return [(uid, ticket_id) for uid, ticket_id in db.session.execute(query)]
