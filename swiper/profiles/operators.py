"""The role of operators: people who may use the operator's desk."""

from dataclasses import dataclass

from sqlalchemy import select

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.db.upsert import insert_if_absent
from swiper.errors import NotFoundError
from swiper.extensions import db
from swiper.profiles.models import Operator, Status, User


@dataclass(frozen=True)
class Caller:
    """Who asks for the desk."""

    id: int
    nickname: str
    status: Status
    is_operator: bool


def find_caller(uid: int) -> Caller | None:
    """The account and its role as the database has them at this moment; None when the account is gone."""
    query = select(User.nickname, User.status, Operator.uid).outerjoin(Operator, Operator.uid == User.id)
    row = db.session.execute(query.where(User.id == uid)).first()
    return Caller(uid, row.nickname, row.status, row.uid is not None) if row else None


@transactional
def grant_role(uid: int) -> bool:
    """Make somebody an operator; False where they are one. Raises NotFoundError for an account that is gone."""
    if db.session.get(User, uid, with_for_update=True, populate_existing=True) is None:
        raise NotFoundError()
    if db.session.get(Operator, uid, populate_existing=True) is not None:
        return False
    insert_if_absent(Operator, [{"uid": uid, "granted_at": now()}], ["uid"])
    return True


@transactional
def revoke_role(uid: int) -> bool:
    """Take the role away; False where there was none."""
    held = db.session.get(Operator, uid, with_for_update=True, populate_existing=True)
    if held is not None:
        db.session.delete(held)
    return held is not None


def list_operators() -> list[tuple[Operator, User]]:
    """Everyone who has the role, the longest-serving first."""
    operators = db.session.scalars(select(Operator).order_by(Operator.granted_at, Operator.uid)).all()
    query = select(User).where(User.id.in_([operator.uid for operator in operators]))
    users = {user.id: user for user in db.session.scalars(query)}
    return [(operator, users[operator.uid]) for operator in operators if operator.uid in users]
