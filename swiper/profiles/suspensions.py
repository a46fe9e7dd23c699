"""Suspensions with a reason and an end."""

from datetime import datetime

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.profiles.accounts import set_status
from swiper.profiles.models import Status
from swiper.profiles.queries import suspensions as queries
from swiper.profiles.queries.people import lock_user


@transactional
def suspend(uid: int, reason: str, until: datetime | None) -> None:
    """Suspend an account until a moment, or without an end. A second call replaces reason and end.

    Raises NotFoundError.
    """
    set_status(uid, Status.SUSPENDED)
    queries.upsert_suspension(uid, reason, until)


@transactional
def resume(uid: int) -> None:
    """Admit an account again. Raises NotFoundError."""
    set_status(uid, Status.ACTIVE)
    queries.delete_suspension(uid)


def ended_suspensions() -> list[int]:
    """Ids of people whose suspension has ended."""
    return queries.list_ended_suspensions(now())


@transactional
def lift_if_ended(uid: int) -> bool:
    """Admit somebody whose suspension has ended; False if it was extended or lifted meanwhile."""
    # The account is locked first, as in every change of its status.
    if lock_user(uid) is None:
        return False
    found = queries.find_suspension(uid)
    if found is None or found.until is None or found.until > now():
        return False
    resume(uid)
    return True
