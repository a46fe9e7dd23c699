"""The present moment, and calendar days in the time zone of the service (setting `TIMEZONE`)."""

import functools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask import current_app


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def aware(moment: datetime) -> datetime:
    """Return `moment`. Raises ValueError where it has no zone: it could mean any moment."""
    if moment.tzinfo is None:
        raise ValueError("a naive datetime has no place in the database")
    return moment


def utc_text(moment: datetime) -> str:
    """Return a time in UTC as text without its zone, always with microseconds. Raises as `aware` for a naive time."""
    return aware(moment).astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def today() -> date:
    """Return the calendar day of the present moment."""
    return day_of(now())


def day_of(moment: datetime) -> date:
    """Return the calendar day of an aware time."""
    return moment.astimezone(_zone()).date()


def bounds_of(day: date) -> tuple[datetime, datetime]:
    """Return the beginning of a calendar day and that of the next one, both in UTC."""
    return _midnight(day), _midnight(day + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, _zone()).astimezone(UTC)


def _zone() -> ZoneInfo:
    return _zone_of(current_app.config["TIMEZONE"])


_zone_of = functools.cache(ZoneInfo)
