"""Memberships: extended by what was paid, ended when they have run out."""

from datetime import datetime

from flask import current_app
from sqlalchemy import delete, func, select

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.db.upsert import insert_if_absent
from swiper.extensions import db
from swiper.ids import new_id
from swiper.signals import vip_changed
from swiper.vip.credit import Extension, MembershipLimitError, Paid, add_months, extend, price_of
from swiper.vip.levels import VipStatus, find_level, status_of_row
from swiper.vip.models import Membership, Order, OrderState, PaidPeriod


@transactional
def grant(uid: int, level: int, months: int, paid_cents: int | None = None) -> VipStatus:
    """Give a user `months` of `level` on top of what they have, for `paid_cents` or the list price.

    Raises MembershipLimitError.
    """
    row = lock_membership(uid)
    extension = extension_of(uid, row, level, months, paid_cents)
    row.level, row.expires_at = extension.level, extension.expires_at
    db.session.execute(delete(PaidPeriod).where(PaidPeriod.uid == uid))
    db.session.add_all(
        PaidPeriod(uid=uid, id=new_id(), starts_at=period.starts_at, ends_at=period.ends_at, paid_cents=period.cents)
        for period in extension.periods
        if period.starts_at < period.ends_at
    )
    announce(uid)
    return status_of_row(row)


def lock_membership(uid: int) -> Membership:
    """A user's membership, locked in the running transaction; one that has ended for whoever has none."""
    row = db.session.get(Membership, uid, with_for_update=True, populate_existing=True)
    if row is None:
        insert_if_absent(Membership, [{"uid": uid, "level": 0, "expires_at": now()}], ["uid"])
        row = db.session.get_one(Membership, uid, with_for_update=True, populate_existing=True)
    return row


def extension_of(uid: int, row: Membership | None, level: int, months: int, paid_cents: int | None = None) -> Extension:
    """What a purchase would make of a stored membership at this moment. Raises MembershipLimitError."""
    wanted, moment = find_level(level), now()
    current = status_of_row(row)
    cents = wanted.price_cents * months if paid_cents is None else paid_cents
    try:
        periods = _periods_of(uid, current, moment)
        extension = extend(current, wanted, months, moment=moment, paid_cents=cents, periods=periods)
        if extension.expires_at > add_months(moment, 12 * current_app.config["MEMBERSHIP_YEARS_AHEAD"]):
            raise MembershipLimitError()
    except OverflowError as error:
        raise MembershipLimitError() from error
    return extension


def _periods_of(uid: int, current: VipStatus, moment: datetime) -> list[Paid]:
    """What was paid for the rest of a membership.

    Of time that the release before has granted no payment is noted. It counts at the list price, yet never as more than
    all that its owner has paid.
    """
    if current.expires_at is None:
        return []
    query = select(PaidPeriod.starts_at, PaidPeriod.ends_at, PaidPeriod.paid_cents).where(PaidPeriod.uid == uid)
    periods = [Paid(*row) for row in db.session.execute(query.order_by(PaidPeriod.ends_at))]
    start = max([moment, *(period.ends_at for period in periods)])
    if start < current.expires_at:
        cents = price_of(start, current.expires_at, current.level.price_cents)
        paid = select(func.sum(Order.amount_cents)).where(Order.uid == uid, Order.state == OrderState.PAID)
        paid = paid.execution_options(everywhere="Orders are distributed by their own id.")
        total = None if periods else db.session.scalar(paid)
        periods.append(Paid(start, current.expires_at, cents if total is None else min(cents, int(total))))
    return periods


def announce(uid: int) -> None:
    """Tell those who keep what they know of a membership, in the transaction that may have changed it."""
    vip_changed.send(None, uid=uid)


@transactional
def expire_memberships() -> list[int]:
    """Delete the memberships that have run out; the users' ids are returned."""
    query = select(Membership.uid).where(Membership.expires_at <= now()).limit(1000)
    expired = list(db.session.scalars(query.execution_options(everywhere="The sweep looks for members of any id.")))
    if expired:
        db.session.execute(delete(Membership).where(Membership.uid.in_(expired), Membership.expires_at <= now()))
        # A membership that was bought anew meanwhile has none that are over.
        db.session.execute(delete(PaidPeriod).where(PaidPeriod.uid.in_(expired), PaidPeriod.ends_at <= now()))
        for uid in expired:
            announce(uid)
    return expired
