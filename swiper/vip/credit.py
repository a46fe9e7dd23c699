"""What stretches of a membership have cost, and what is left of that: whole cents, rounded so that nobody gains by it.

An upgrade credits what was paid for the time that is left, never more: what was cheap in a sale counts as cheap, and no
sequence of purchases is worth more than its payments.
"""

import calendar
from collections.abc import Iterable, Sequence
from datetime import MAXYEAR, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from swiper.errors import ParamError

if TYPE_CHECKING:
    from swiper.vip.levels import Level, VipStatus

MICROSECOND = timedelta(microseconds=1)
# More than any membership may reach ahead.
LONGEST_MONTHS = 12 * 200


class MembershipLimitError(ParamError):
    """A purchase would reach further ahead than a membership may."""

    message = "A membership cannot be extended that far ahead."


class Paid(NamedTuple):
    """A stretch of a membership and what was paid for it, in cents."""

    starts_at: datetime
    ends_at: datetime
    cents: int


def add_months(start: datetime, months: int) -> datetime:
    """The same day `months` later, or that month's last day where it is shorter. Raises OverflowError."""
    index = start.year * 12 + start.month - 1 + months
    year, month = index // 12, index % 12 + 1
    if year > MAXYEAR:
        raise OverflowError("there is no year 10000")
    day = min(start.day, calendar.monthrange(year, month)[1])
    return start.replace(year=year, month=month, day=day)


def time_for(cents: int, price_cents: int, start: datetime) -> timedelta:
    """How long `cents` last at a monthly price, by the calendar from `start` on; a level that costs nothing lasts."""
    months, rest = divmod(cents, price_cents) if price_cents else (LONGEST_MONTHS, 0)
    if months >= LONGEST_MONTHS:
        months, rest = LONGEST_MONTHS, 0
    begin, end = add_months(start, months), add_months(start, months + 1)
    return begin - start + (end - begin) * rest // price_cents if rest else begin - start


def price_of(start: datetime, end: datetime, price_cents: int) -> int:
    """What the time between two moments costs at a monthly price."""
    end = min(end, add_months(start, LONGEST_MONTHS))
    months = (end.year - start.year) * 12 + end.month - start.month
    if add_months(start, months) > end:
        months -= 1
    begin = add_months(start, months)
    return price_cents * months + price_cents * (end - begin) // (add_months(start, months + 1) - begin)


def rest_of(periods: Iterable[Paid], moment: datetime) -> int:
    """What was paid for the time after `moment`, in cents."""
    return sum(
        period.cents
        * ((period.ends_at - max(period.starts_at, moment)) // MICROSECOND)
        // ((period.ends_at - period.starts_at) // MICROSECOND)
        for period in periods
        if max(period.starts_at, moment) < period.ends_at
    )


class Extension(NamedTuple):
    """What a membership becomes by a purchase, and what its stretches have cost."""

    level: int
    expires_at: datetime
    periods: list[Paid]


def extend(
    current: "VipStatus",
    level: "Level",
    months: int,
    *,
    moment: datetime,
    paid_cents: int,
    periods: Sequence[Paid] = (),
) -> Extension:
    """Level and expiry after buying `months` of `level` for `paid_cents`; `periods` are those of the current level.

    The same level is extended. A higher one starts now, and what was paid for the rest of the lower one buys time of
    it at its list price, at most one to one; a payment for a lower one extends the higher one in the same way.
    """
    if current.expires_at is None:
        end = add_months(moment, months)
        return Extension(level.level, end, [Paid(moment, end, paid_cents)])
    held, held_until = current.level, current.expires_at
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
