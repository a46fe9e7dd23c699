"""Memberships: what a purchase makes of them, and their end.

An upgrade credits what was paid for the time that is left, never more. Time that was bought in a sale is credited at
the price of the sale, and no sequence of purchases is worth more than what was paid. Money is in whole cents. Rounding
is never in the buyer's favour.
"""

import calendar
from collections.abc import Iterable, Sequence
from datetime import MAXYEAR, datetime, timedelta
from typing import NamedTuple

from flask import current_app

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.errors import ParamError
from swiper.ids import new_id
from swiper.signals import vip_changed
from swiper.vip.levels import Level, VipStatus, find_level, status_of_row
from swiper.vip.models import Membership, PaidPeriod
from swiper.vip.queries import purchases as queries

# How many memberships one transaction deletes.
BATCH = 1_000
MICROSECOND = timedelta(microseconds=1)
# A limit for amounts and times that make no sense; it is more than MEMBERSHIP_YEARS_AHEAD may be.
LONGEST_MONTHS = 12 * 200


class MembershipLimitError(ParamError):
    """After a purchase, the membership would expire later than a membership may."""

    message = "A membership cannot be extended that far ahead."


class Paid(NamedTuple):
    """A part of a membership's time and what was paid for it, in cents."""

    starts_at: datetime
    ends_at: datetime
    cents: int


def add_months(start: datetime, months: int) -> datetime:
    """Return the same day `months` later, or the last day of that month if the month is shorter.

    Raises OverflowError for a time after the year 9999.
    """
    index = start.year * 12 + start.month - 1 + months
    year, month = index // 12, index % 12 + 1
    if year > MAXYEAR:
        raise OverflowError("there is no year 10000")
    day = min(start.day, calendar.monthrange(year, month)[1])
    return start.replace(year=year, month=month, day=day)


def time_for(cents: int, price_cents: int, start: datetime) -> timedelta:
    """Return how much time from `start` on `cents` pay for, in calendar months of `price_cents` each.

    A level that costs nothing gives `LONGEST_MONTHS`.
    """
    months, rest = divmod(cents, price_cents) if price_cents else (LONGEST_MONTHS, 0)
    if months >= LONGEST_MONTHS:
        months, rest = LONGEST_MONTHS, 0
    begin, end = add_months(start, months), add_months(start, months + 1)
    return begin - start + (end - begin) * rest // price_cents if rest else begin - start


def price_of(start: datetime, end: datetime, price_cents: int) -> int:
    """Return what the time from `start` to `end` costs, in cents, rounded down, at `price_cents` for a month."""
    end = min(end, add_months(start, LONGEST_MONTHS))
    months = (end.year - start.year) * 12 + end.month - start.month
    if add_months(start, months) > end:
        months -= 1
    begin = add_months(start, months)
    return price_cents * months + price_cents * (end - begin) // (add_months(start, months + 1) - begin)


def rest_of(periods: Iterable[Paid], moment: datetime) -> int:
    """Return what was paid for the time after `moment`, in cents, rounded down for each period."""
    return sum(
        period.cents
        * ((period.ends_at - max(period.starts_at, moment)) // MICROSECOND)
        // ((period.ends_at - period.starts_at) // MICROSECOND)
        for period in periods
        if max(period.starts_at, moment) < period.ends_at
    )


class Extension(NamedTuple):
    """What a membership is after a purchase: level, expiry, and what was paid for each part of its time."""

    level: int
    expires_at: datetime
    periods: list[Paid]


def extend(
    vip_status: VipStatus,
    level: Level,
    months: int,
    *,
    moment: datetime,
    paid_cents: int,
    periods: Sequence[Paid] = (),
) -> Extension:
    """Return the membership after a purchase of `months` of `level` for `paid_cents` at `moment`.

    `periods` is what was paid for the present membership. The same level is extended. A higher level starts now: what
    was paid for the rest of the lower level buys time of the higher level at its list price, at most as much time as
    was left. A purchase of a lower level extends the higher level by the same rule.
    """
    if vip_status.expires_at is None:
        end = add_months(moment, months)
        return Extension(level.level, end, [Paid(moment, end, paid_cents)])
    held, held_until = vip_status.level, vip_status.expires_at
    ahead = [period for period in periods if period.ends_at > moment]
    if level.level == held.level:
        end = add_months(held_until, months)
        return Extension(held.level, end, [*ahead, Paid(held_until, end, paid_cents)])
    bought_until = add_months(moment, months)
    if level.level > held.level:
        rest = rest_of(ahead, moment)
        end = bought_until + min(time_for(rest, level.price_cents, moment), held_until - moment)
        return Extension(level.level, end, [Paid(moment, bought_until, paid_cents), Paid(bought_until, end, rest)])
    end = held_until + min(time_for(paid_cents, held.price_cents, moment), bought_until - moment)
    return Extension(held.level, end, [*ahead, Paid(held_until, end, paid_cents)])


@transactional
def grant(uid: int, level: int, months: int, paid_cents: int | None = None) -> VipStatus:
    """Give a user `months` of `level` for `paid_cents`, or for the list price, and return the new VIP status.

    Raises MembershipLimitError.
    """
    row = queries.lock_membership(uid, now())
    extension = extension_of(uid, row, level, months, paid_cents)
    row.level, row.expires_at = extension.level, extension.expires_at
    periods = [
        PaidPeriod(uid=uid, id=new_id(), starts_at=period.starts_at, ends_at=period.ends_at, paid_cents=period.cents)
        for period in extension.periods
        if period.starts_at < period.ends_at
    ]
    queries.replace_paid_periods(uid, periods)
    vip_changed.send(None, uid=uid)
    return status_of_row(row)


def extension_of(uid: int, row: Membership | None, level: int, months: int, paid_cents: int | None = None) -> Extension:
    """Return what a purchase would make of the stored membership `row` now. Raises MembershipLimitError."""
    wanted, moment = find_level(level), now()
    vip_status = status_of_row(row)
    cents = wanted.price_cents * months if paid_cents is None else paid_cents
    try:
        periods = _periods_of(uid, vip_status, moment)
        extension = extend(vip_status, wanted, months, moment=moment, paid_cents=cents, periods=periods)
        if extension.expires_at > add_months(moment, 12 * current_app.config["MEMBERSHIP_YEARS_AHEAD"]):
            raise MembershipLimitError()
    except OverflowError as error:
        raise MembershipLimitError() from error
    return extension


def _periods_of(uid: int, vip_status: VipStatus, moment: datetime) -> list[Paid]:
    """Return what was paid for the time from `moment` to the end of the membership.

    For time that was bought before paid periods were stored, the list price counts, but at most the sum of all that the
    user has paid.
    """
    if vip_status.expires_at is None:
        return []
    periods = [Paid(*row) for row in queries.paid_periods(uid)]
    start = max([moment, *(period.ends_at for period in periods)])
    if start < vip_status.expires_at:
        cents = price_of(start, vip_status.expires_at, vip_status.level.price_cents)
        total = None if periods else queries.paid_cents(uid)
        periods.append(Paid(start, vip_status.expires_at, cents if total is None else min(cents, total)))
    return periods


@transactional
def expire_memberships() -> list[int]:
    """Delete up to `BATCH` memberships that have expired, and return the ids of their users."""
    moment = now()
    expired = queries.expired_members(moment, BATCH)
    if expired:
        queries.delete_expired_memberships(expired, moment)
        for uid in expired:
            vip_changed.send(None, uid=uid)
    return expired
