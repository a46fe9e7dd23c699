"""SQL of suspensions."""

from datetime import datetime

from sqlalchemy import delete, select

from swiper.db.upsert import upsert
from swiper.extensions import db
from swiper.profiles.models import Suspension

# The most suspensions that one sweep lifts; the next one lifts the others.
BATCH = 500


def find_suspension(uid: int) -> Suspension | None:
    """Reason and end of a suspension as they are stored now; None where none was given."""
    return db.session.get(Suspension, uid, populate_existing=True)


def upsert_suspension(uid: int, reason: str, until: datetime | None) -> None:
    """Store reason and end of a suspension, in the place of an earlier one."""
    row = {"uid": uid, "reason": reason, "until": until}
    upsert(Suspension, [row], ["uid"], lambda _, new: {"reason": new.reason, "until": new.until})


def delete_suspension(uid: int) -> None:
    """Delete reason and end of a suspension."""
    db.session.execute(delete(Suspension).where(Suspension.uid == uid))


def list_ended_suspensions(at: datetime) -> list[int]:
    """Ids of at most `BATCH` people whose suspension has ended by a moment."""
    query = select(Suspension.uid).where(Suspension.until <= at).limit(BATCH)
    return list(db.session.scalars(query.execution_options(everywhere="The sweep looks for suspensions of anybody.")))
