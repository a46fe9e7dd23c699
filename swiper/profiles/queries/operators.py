"""SQL of the operator's role."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from swiper.db.upsert import insert_if_absent
from swiper.extensions import db
from swiper.profiles.models import Operator, User


def find_caller(uid: int) -> Any:
    """`nickname`, `status`, and `uid`, which is None for somebody without the role; None when the account is gone."""
    query = select(User.nickname, User.status, Operator.uid).outerjoin(Operator, Operator.uid == User.id)
    return db.session.execute(query.where(User.id == uid)).first()


def is_operator(uid: int) -> bool:
    """True for somebody who has the role now."""
    return db.session.get(Operator, uid, populate_existing=True) is not None


def insert_operator(uid: int, granted_at: datetime) -> None:
    """Give somebody the role."""
    insert_if_absent(Operator, [{"uid": uid, "granted_at": granted_at}], ["uid"])


def delete_operator(uid: int) -> bool:
    """Take the role away; False where there was none."""
    held = db.session.get(Operator, uid, with_for_update=True, populate_existing=True)
    if held is not None:
        db.session.delete(held)
    return held is not None


def list_operators() -> list[tuple[Operator, User]]:
    """Everybody who has the role, those who have had it longest first."""
    operators = db.session.scalars(select(Operator).order_by(Operator.granted_at, Operator.uid)).all()
    query = select(User).where(User.id.in_([operator.uid for operator in operators]))
    users = {user.id: user for user in db.session.scalars(query)}
    return [(operator, users[operator.uid]) for operator in operators if operator.uid in users]


def nicknames_of_operators(except_uid: int) -> Sequence[str]:
    """Nicknames of all operators but one."""
    # Two statements: `users` is not read across machines.
    uids = db.session.scalars(select(Operator.uid).where(Operator.uid != except_uid)).all()
    return db.session.scalars(select(User.nickname).where(User.id.in_(uids))).all()
