"""Daily quotas, one row per user and kind, counted in the same transaction as what they pay for.

That makes them exact by construction: a refused, repeated or failed swipe rolls its count back with itself, and nothing
is left to repair after a crash.
"""

import functools
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from flask import current_app
from sqlalchemy import BigInteger, Date, select, update
from sqlalchemy.orm import Mapped, mapped_column

from swiper.clock import now
from swiper.db.statements import Statement, execute
from swiper.db.types import enum_type
from swiper.errors import RateLimitedError
from swiper.extensions import Model, db, this_app
from swiper.vip.levels import VipStatus
from swiper.vip.models import Permission


class QuotaKind(StrEnum):
    """What is counted each day."""

    LIKE = "like"
    SUPERLIKE = "superlike"
    REWIND = "rewind"


class Quota(Model):
    """How often a user did something on `day`; an older day counts as zero.

    `day` only moves forward. A clock that is behind (two machines around midnight, a step of NTP) counts on the day
    that is stored, so a day that has begun is never granted again.
    """

    __tablename__ = "quotas"

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[QuotaKind] = mapped_column(enum_type(QuotaKind, "kind"), primary_key=True)
    day: Mapped[date] = mapped_column(Date)
    used: Mapped[int] = mapped_column(BigInteger, default=0)


# Only a later day counts anew. MariaDB assigns from left to right, so the count is settled before the day moves on.
COUNT_AGAIN = """ON CONFLICT (uid, kind) DO UPDATE
    SET used = CASE WHEN quotas.day >= excluded.day THEN quotas.used + 1 ELSE 1 END,
      day = CASE WHEN quotas.day >= excluded.day THEN quotas.day ELSE excluded.day END"""
COUNT_ONE = Statement(
    f"INSERT INTO quotas (uid, kind, day, used) VALUES (:uid, :kind, :day, 1) {COUNT_AGAIN} RETURNING used, day",  # noqa: S608
    *(int, date),
)


def today() -> date:
    """The calendar day in the service's time zone."""
    return day_of(now())


def day_of(moment: datetime) -> date:
    """The calendar day of `moment` in the service's time zone."""
    return moment.astimezone(_zone()).date()


def resets_at(day: date | None = None) -> datetime:
    """The midnight that ends `day`, or today, in the service's time zone, told in UTC."""
    return span_of(day or today())[1]


def span_of(day: date) -> tuple[datetime, datetime]:
    """Beginning and end of a calendar day of the service's time zone, told in UTC."""
    return _midnight(day), _midnight(day + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, _zone()).astimezone(UTC)


def _zone() -> ZoneInfo:
    return _zone_of(this_app().config["TIMEZONE"])


_zone_of = functools.cache(ZoneInfo)


def limit_of(kind: QuotaKind, current: VipStatus) -> int | None:
    """How many a day the VIP status allows; None is without limit."""
    if kind is QuotaKind.LIKE and current.has(Permission.UNLIMIT_LIKE):
        return None
    limit: int = current_app.config[f"{kind.upper()}S_PER_DAY"]
    return limit


def spend(uid: int, kind: QuotaKind, limit: int | None) -> None:
    """Count one in the running transaction. Raises RateLimitedError with the reset time when none is left."""
    # One moment for the whole decision: midnight may come between two looks at the clock.
    moment = now()
    ((used, day),) = execute(COUNT_ONE, {"uid": uid, "kind": kind, "day": day_of(moment)})
    if limit is not None and used > limit:
        # The day that the row counts may be a later one than this machine's.
        reset_at = resets_at(day)
        raise RateLimitedError((reset_at - moment).total_seconds(), "Today's quota is used up.", reset_at=reset_at)


def give_back(uid: int, kind: QuotaKind, day: date) -> None:
    """Take back one that was counted on `day`, in the running transaction; a day that has passed is left alone."""
    # What was counted today stands in the row even if another machine's clock has opened the next day there.
    is_counted = Quota.day >= day if day >= today() else Quota.day == day
    db.session.execute(
        update(Quota)
        .where(Quota.uid == uid, Quota.kind == kind, is_counted, Quota.used > 0)
        .values(used=Quota.used - 1),
        execution_options={"synchronize_session": False},
    )


def quotas_left(uid: int, current: VipStatus, day: date | None = None) -> dict[str, dict[str, int | None]]:
    """By kind: the limit of `day` (today), what is used and what is left; None is without limit."""
    rows = db.session.execute(select(Quota.kind, Quota.used).where(Quota.uid == uid, Quota.day >= (day or today())))
    used = {row.kind: row.used for row in rows}
    report = {}
    for kind in QuotaKind:
        limit, count = limit_of(kind, current), used.get(kind, 0)
        left = None if limit is None else max(0, limit - count)
        report[kind.value] = {"limit": limit, "used": count, "left": left}
    return report
