"""Suspensions with a reason and an end."""

from datetime import datetime

from sqlalchemy import delete, select

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.db.upsert import upsert
from swiper.extensions import db
from swiper.profiles.accounts import set_status
from swiper.profiles.models import Status, Suspension, User

# What one turn admits at most; the next one goes on.
BATCH = 500


@transactional
def suspend(uid: int, reason: str, until: datetime | None) -> None:
    """Lock an account out and hide it from everybody, `until` a moment or for good; again replaces reason and end.

    Raises NotFoundError.
    """
    set_status(uid, Status.SUSPENDED)
    row = {"uid": uid, "reason": reason, "until": until}
    upsert(Suspension, [row], ["uid"], lambda _, new: {"reason": new.reason, "until": new.until})


@transactional
def resume(uid: int) -> None:
    """Admit an account again. Raises NotFoundError."""
    set_status(uid, Status.ACTIVE)
    db.session.execute(delete(Suspension).where(Suspension.uid == uid))


def suspension_of(uid: int) -> Suspension | None:
    """Reason and end of a suspension; None where nobody has told any."""
    return db.session.get(Suspension, uid, populate_existing=True)


def over_suspensions() -> list[int]:
    """Ids of people whose suspension is over."""
    query = select(Suspension.uid).where(Suspension.until <= now()).limit(BATCH)
    return list(db.session.scalars(query.execution_options(everywhere="The sweep looks for suspensions of anybody.")))


@transactional
def lift_if_over(uid: int) -> bool:
    """Admit somebody whose suspension is over; False where it was made longer meanwhile, or lifted."""
    # The account is locked first, as every change of its status does.
    if db.session.get(User, uid, with_for_update=True, populate_existing=True) is None:
        return False
    held = suspension_of(uid)
    if held is None or held.until is None or held.until > now():
        return False
    resume(uid)
    return True
