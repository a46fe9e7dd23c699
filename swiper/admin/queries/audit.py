"""The audit log: table `operator_actions`."""

from collections.abc import Collection, Sequence

from sqlalchemy import select

from swiper.admin.models import OperatorAction
from swiper.extensions import db
from swiper.ids import new_id
from swiper.profiles.models import User


def add_action(uid: int | None, action: str, target: str, before: str, after: str) -> None:
    """Insert an entry with the operator's present nickname; `uid` is None for the command line."""
    actor = None if uid is None else db.session.scalar(select(User.nickname).where(User.id == uid))
    entry = OperatorAction(id=new_id(), uid=uid, actor=actor, action=action, target=target, before=before, after=after)
    db.session.add(entry)
    db.session.flush()


def newest_actions(
    limit: int, *, below: int | None, uid: int | None, action: str | None, target: str | None
) -> Sequence[OperatorAction]:
    """Entries with ids lower than `below`, the newest first. None for any argument means no filter."""
    query = select(OperatorAction).order_by(OperatorAction.id.desc()).limit(limit)
    filters = {OperatorAction.uid: uid, OperatorAction.action: action, OperatorAction.target: target}
    query = query.where(*(column == value for column, value in filters.items() if value is not None))
    if below is not None:
        query = query.where(OperatorAction.id < below)
    return db.session.scalars(query).all()


def nicknames_of(uids: Collection[int]) -> dict[int, str]:
    """The present nicknames of `uids`; accounts that are gone have none."""
    if not uids:
        return {}
    rows = db.session.execute(select(User.id, User.nickname).where(User.id.in_(uids)))
    return {row.id: row.nickname for row in rows}
