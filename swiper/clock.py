"""The present moment."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def aware(moment: datetime) -> datetime:
    """Return `moment`. Raises ValueError where it has no zone: it could mean any moment."""
    if moment.tzinfo is None:
        raise ValueError("a naive datetime has no place in the database")
    return moment
