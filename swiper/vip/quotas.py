"""Daily quotas, one row per user and kind, counted in the same transaction as what they pay for.

That makes them exact by construction: a refused, repeated or failed swipe rolls its count back with itself, and nothing
is left to repair after a crash.
"""

import functools
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from flask import current_app
from sqlalchemy import BigInteger, Date, case, false, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from swiper.dialect import enum_type, insert_if_absent, now
from swiper.errors import RateLimitedError
from swiper.extensions import Model, db, this_app
from swiper.vip.levels import Standing
from swiper.vip.models import Permission


class QuotaKind(StrEnum):
    """What is counted each day."""

    LIKE = "like"
    SUPERLIKE = "superlike"
    REWIND = "rewind"


class Quota(Model):
    """How often a user did something on `day`; an older day counts as zero."""

    __tablename__ = "quotas"

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[QuotaKind] = mapped_column(enum_type(QuotaKind, "kind"), primary_key=True)
    day: Mapped[date] = mapped_column(Date)
    used: Mapped[int] = mapped_column(BigInteger, default=0)


def today() -> date:
    """The calendar day in the service's time zone."""
    return day_of(now())


def day_of(moment: datetime) -> date:
    """The calendar day of `moment` in the service's time zone."""
    return moment.astimezone(_zone()).date()


def resets_at() -> datetime:
    """The coming midnight in the service's time zone, told in UTC."""
    return span_of(today())[1]


def span_of(day: date) -> tuple[datetime, datetime]:
    """Beginning and end of a calendar day of the service's time zone, told in UTC."""
    return _midnight(day), _midnight(day + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, _zone()).astimezone(UTC)


def _zone() -> ZoneInfo:
    return _zone_of(this_app().config["TIMEZONE"])


_zone_of = functools.cache(ZoneInfo)


def limit_of(kind: QuotaKind, current: Standing) -> int | None:
    """How many a day the standing allows; None is without limit."""
    if kind is QuotaKind.LIKE and current.has(Permission.UNLIMIT_LIKE):
        return None
    limit: int = current_app.config[f"{kind.upper()}S_PER_DAY"]
    return limit


def spend(uid: int, kind: QuotaKind, limit: int | None) -> None:
    """Count one in the running transaction. Raises RateLimitedError with the reset time when none is left."""
    if _count_one(uid, kind, limit):
        return
    insert_if_absent(Quota, [{"uid": uid, "kind": kind, "day": today(), "used": 0}], ["uid", "kind"])
    if not _count_one(uid, kind, limit):
        raise used_up()


def used_up() -> RateLimitedError:
    """What is raised when nothing is left, with the reset time."""
    return RateLimitedError((resets_at() - now()).total_seconds(), "Today's quota is used up.", reset_at=resets_at())


def _count_one(uid: int, kind: QuotaKind, limit: int | None) -> bool:
    is_today = Quota.day == today()
    statement = (
        update(Quota)
        .where(Quota.uid == uid, Quota.kind == kind)
        # MariaDB assigns from left to right, so the count must be settled before the day moves on.
        .ordered_values((Quota.used, case((is_today, Quota.used + 1), else_=1)), (Quota.day, today()))
    )
    if limit is not None:
        statement = statement.where(or_(Quota.used < limit, ~is_today) if limit > 0 else false())
    # The rows matched, not those changed: SQLAlchemy asks PyMySQL for found rows.
    result = db.session.execute(statement, execution_options={"synchronize_session": False})
    return bool(result.rowcount)  # type: ignore[attr-defined]


def give_back(uid: int, kind: QuotaKind, day: date) -> None:
    """Take back one that was counted on `day`, in the running transaction; a day that has passed is left alone."""
    db.session.execute(
        update(Quota)
        .where(Quota.uid == uid, Quota.kind == kind, Quota.day == day, Quota.used > 0)
        .values(used=Quota.used - 1),
        execution_options={"synchronize_session": False},
    )


def quotas_left(uid: int, current: Standing) -> dict[str, dict[str, int | None]]:
    """By kind: today's limit, what is used and what is left; None is without limit."""
    rows = db.session.execute(select(Quota.kind, Quota.used).where(Quota.uid == uid, Quota.day == today()))
    used = {row.kind: row.used for row in rows}
    report = {}
    for kind in QuotaKind:
        limit, count = limit_of(kind, current), used.get(kind, 0)
        left = None if limit is None else max(0, limit - count)
        report[kind.value] = {"limit": limit, "used": count, "left": left}
    return report
