"""Statements about flash sales and the tickets of their buyers."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, delete, select, update

from swiper.db.upsert import insert_if_absent
from swiper.extensions import db
from swiper.vip.models import FlashSale, Ticket, TicketState

# --- Sales ---


def insert_sale(sale: FlashSale) -> None:
    """Add a sale to the transaction."""
    db.session.add(sale)


def find_sale(sale_id: int) -> FlashSale | None:
    """Return a sale."""
    return db.session.get(FlashSale, sale_id, populate_existing=True)


def lock_sale(sale_id: int) -> FlashSale | None:
    """Lock a sale until the transaction ends and return it, or None if there is none."""
    return db.session.get(FlashSale, sale_id, with_for_update=True, populate_existing=True)


def sales_that_end_after(moment: datetime) -> list[FlashSale]:
    """Return the sales that end after `moment`, the next to end first."""
    return list(db.session.scalars(select(FlashSale).where(FlashSale.ends_at > moment).order_by(FlashSale.ends_at)))


def sales_that_ended_before(moment: datetime) -> list[int]:
    """Return the ids of the sales that ended before `moment`."""
    return list(db.session.scalars(select(FlashSale.id).where(FlashSale.ends_at < moment)))


# --- Tickets ---

# Buyers in these states have no place in the sale and wait for none.
IS_UNSERVED = Ticket.state.in_((TicketState.SOLD_OUT, TicketState.RELEASED))


def find_ticket(uid: int, ticket_id: int) -> Ticket | None:
    """Return a ticket of a user by its id."""
    return db.session.get(Ticket, (uid, ticket_id), populate_existing=True)


def lock_ticket(uid: int, ticket_id: int) -> Ticket | None:
    """Lock a ticket until the transaction ends and return it, or None if there is none."""
    return db.session.get(Ticket, (uid, ticket_id), with_for_update=True, populate_existing=True)


def lock_ticket_of_sale(uid: int, sale_id: int) -> Ticket | None:
    """Lock the ticket that a user has for a sale and return it, or None if there is none."""
    return db.session.scalars(_ticket_of_sale(uid, sale_id).with_for_update()).first()


def insert_ticket(uid: int, ticket_id: int, sale_id: int, moment: datetime) -> Ticket | None:
    """Insert a ticket that is queued at `moment`, and return the user's ticket for the sale.

    That is another one if a request at the same time was faster. It is None on MariaDB if the user has another ticket
    with this id; the other databases raise an IntegrityError then.
    """
    row = {"uid": uid, "id": ticket_id, "sale_id": sale_id, "state": TicketState.QUEUED, "queued_at": moment}
    insert_if_absent(Ticket, [row], ["uid", "sale_id"])
    return db.session.scalars(_ticket_of_sale(uid, sale_id)).one_or_none()


def _ticket_of_sale(uid: int, sale_id: int) -> Select[Ticket]:
    query = select(Ticket).where(Ticket.uid == uid, Ticket.sale_id == sale_id)
    return query.execution_options(populate_existing=True)


def lock_tickets_of(uid: int) -> None:
    """Lock all tickets of a user until the transaction ends."""
    db.session.scalars(select(Ticket.id).where(Ticket.uid == uid).with_for_update()).all()


def release_ticket(uid: int, sale_id: int, order_id: int, lapses: int) -> None:
    """Release the ticket that has led to this order, and add `lapses` to its count of unpaid places."""
    db.session.execute(
        update(Ticket)
        .where(Ticket.uid == uid, Ticket.sale_id == sale_id, Ticket.order_id == order_id)
        .values(state=TicketState.RELEASED, lapses=Ticket.lapses + lapses)
    )


def queued_tickets(before: datetime, limit: int) -> list[tuple[int, int]]:
    """Return user id and ticket id of at most `limit` tickets that were queued before a time, the oldest first."""
    query = select(Ticket.uid, Ticket.id).where(Ticket.state == TicketState.QUEUED, Ticket.queued_at < before)
    query = query.order_by(Ticket.queued_at).limit(limit)
    query = query.execution_options(everywhere="The sweep looks for tickets of anybody.")
    return [(uid, ticket_id) for uid, ticket_id in db.session.execute(query)]


def unserved_tickets(sale_ids: Sequence[int], before: datetime, limit: int) -> list[tuple[int, int]]:
    """Return user id and ticket id of up to `limit` unserved tickets of these sales that were queued before a time."""
    query = select(Ticket.uid, Ticket.id).where(IS_UNSERVED, Ticket.queued_at < before, Ticket.sale_id.in_(sale_ids))
    query = query.limit(limit).execution_options(everywhere="The purge looks for tickets of anybody.")
    return [(uid, ticket_id) for uid, ticket_id in db.session.execute(query)]


def delete_unserved_ticket(uid: int, ticket_id: int) -> None:
    """Delete a ticket, unless it is queued again or has an order meanwhile."""
    db.session.execute(delete(Ticket).where(Ticket.uid == uid, Ticket.id == ticket_id, IS_UNSERVED))
