"""Statements about memberships, what was paid for them, and orders."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select

from swiper.db.upsert import insert_if_absent
from swiper.extensions import db
from swiper.vip.models import Membership, Order, OrderState, PaidPeriod

# --- Memberships ---


def find_membership(uid: int) -> Membership | None:
    """Return the stored membership of a user, which may have expired."""
    return db.session.get(Membership, uid, populate_existing=True)


def lock_membership(uid: int, moment: datetime) -> Membership:
    """Lock the membership of a user until the transaction ends and return it.

    A user without a row gets one of level 0 that expires at `moment`, so that there is always a row to lock.
    """
    row = db.session.get(Membership, uid, with_for_update=True, populate_existing=True)
    if row is None:
        insert_if_absent(Membership, [{"uid": uid, "level": 0, "expires_at": moment}], ["uid"])
        row = db.session.get_one(Membership, uid, with_for_update=True, populate_existing=True)
    return row


def expired_members(moment: datetime, limit: int) -> list[int]:
    """Return the ids of at most `limit` users whose membership has expired at `moment`."""
    query = select(Membership.uid).where(Membership.expires_at <= moment).limit(limit)
    return list(db.session.scalars(query.execution_options(everywhere="The sweep looks for members of any id.")))


def delete_expired_memberships(uids: Sequence[int], moment: datetime) -> None:
    """Delete what has expired at `moment` of these users: memberships and paid periods.

    A membership that was bought again since is kept. It has no period that has ended.
    """
    db.session.execute(delete(Membership).where(Membership.uid.in_(uids), Membership.expires_at <= moment))
    db.session.execute(delete(PaidPeriod).where(PaidPeriod.uid.in_(uids), PaidPeriod.ends_at <= moment))


def paid_periods(uid: int) -> list[tuple[datetime, datetime, int]]:
    """Return start, end and price in cents of each paid period of a user, the first to end first."""
    query = select(PaidPeriod.starts_at, PaidPeriod.ends_at, PaidPeriod.paid_cents).where(PaidPeriod.uid == uid)
    rows = db.session.execute(query.order_by(PaidPeriod.ends_at))
    return [(starts_at, ends_at, cents) for starts_at, ends_at, cents in rows]


def replace_paid_periods(uid: int, periods: Iterable[PaidPeriod]) -> None:
    """Delete the paid periods of a user and add these."""
    db.session.execute(delete(PaidPeriod).where(PaidPeriod.uid == uid))
    db.session.add_all(periods)


def paid_cents(uid: int) -> int | None:
    """Return the sum of all paid orders of a user, in cents, or None if there is none."""
    query = select(func.sum(Order.amount_cents)).where(Order.uid == uid, Order.state == OrderState.PAID)
    total = db.session.scalar(query.execution_options(everywhere="Orders are distributed by their own id."))
    return None if total is None else int(total)


# --- Orders ---


def insert_order(order: Order) -> None:
    """Insert an order now, so that its defaults are set."""
    db.session.add(order)
    db.session.flush()


def find_order(order_id: int) -> Order | None:
    """Return an order of anybody."""
    return db.session.get(Order, order_id)


def lock_order(order_id: int) -> Order | None:
    """Lock an order until the transaction ends and return it, or None if there is none."""
    return db.session.get(Order, order_id, with_for_update=True, populate_existing=True)


def pending_orders(uid: int) -> list[tuple[int, datetime]]:
    """Return id and time of creation of each pending order of a user, the oldest first."""
    query = select(Order.id, Order.created_at).where(Order.uid == uid, Order.state == OrderState.PENDING)
    query = query.execution_options(everywhere="Orders are distributed by their own id.")
    return [(order_id, created_at) for order_id, created_at in db.session.execute(query.order_by(Order.created_at))]


def oldest_orders(state: OrderState, before: datetime, limit: int) -> list[int]:
    """Return the ids of at most `limit` orders in this state that were created before a time, the oldest first."""
    query = select(Order.id).where(Order.state == state, Order.created_at < before)
    query = query.order_by(Order.created_at).limit(limit)
    return list(db.session.scalars(query.execution_options(everywhere="The sweep looks for orders of any id.")))


def delete_released_orders(order_ids: Sequence[int]) -> None:
    """Delete these orders, except one that is no longer released because it was paid meanwhile."""
    db.session.execute(delete(Order).where(Order.id.in_(order_ids), Order.state == OrderState.RELEASED))
