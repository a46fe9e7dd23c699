"""SQL of the counted changes of a profile, and of nicknames."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select

from swiper.db.upsert import insert_if_absent
from swiper.extensions import db
from swiper.ids import new_id
from swiper.profiles.models import CountedField, Nickname, ProfileChange


def insert_changes(uid: int, changes: Iterable[tuple[CountedField, datetime]]) -> None:
    """Insert changed fields with the time of each change."""
    db.session.add_all(ProfileChange(uid=uid, id=new_id(), field=field, changed_at=at) for field, at in changes)


def list_changes(uid: int) -> Sequence[ProfileChange]:
    """All counted changes of a user."""
    return db.session.scalars(select(ProfileChange).where(ProfileChange.uid == uid)).all()


def count_changes(uid: int, field: CountedField) -> int:
    """How often a user has changed a field."""
    query = select(func.count()).where(ProfileChange.uid == uid, ProfileChange.field == field)
    return db.session.scalar(query) or 0


def latest_changes(uid: int, field: CountedField, after: datetime, limit: int) -> Sequence[datetime]:
    """Times of a user's last changes of a field after a moment, the latest first, at most `limit`."""
    query = select(ProfileChange.changed_at).where(
        ProfileChange.uid == uid, ProfileChange.field == field, ProfileChange.changed_at > after
    )
    return db.session.scalars(query.order_by(ProfileChange.changed_at.desc()).limit(limit)).all()


def claim_nickname(uid: int, folded: str) -> bool:
    """Insert a folded nickname for a user; False where it is somebody else's."""
    insert_if_absent(Nickname, [{"folded": folded, "uid": uid}], ["folded"])
    return db.session.scalar(select(Nickname.uid).where(Nickname.folded == folded)) == uid


def delete_nickname(uid: int, *folded: str) -> None:
    """Delete a user's folded nickname, in each of its forms, so that others may take it."""
    db.session.execute(delete(Nickname).where(Nickname.folded.in_(folded), Nickname.uid == uid))
