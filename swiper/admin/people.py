"""People as operators see them: found by id, phone or the beginning of a nickname; the phone masked."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select

from swiper.auth.sessions import count_sessions
from swiper.errors import NotFoundError
from swiper.extensions import db
from swiper.logs import mask
from swiper.profiles.models import Nickname, Operator, Suspension, Upload, User
from swiper.profiles.nicknames import fold_nickname
from swiper.profiles.profiles import Account, load_account
from swiper.profiles.suspensions import suspension_of
from swiper.social.models import Friend, LikeIn, Swipe
from swiper.vip.levels import VipStatus
from swiper.vip.models import Order

LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class Details:
    """One person: account, VIP status, album, and how much there is of what they did."""

    account: Account
    user: User
    phone: str
    vip_status: VipStatus
    suspension: Suspension | None
    is_operator: bool
    pictures: list[Upload]
    counts: dict[str, int]


def newest_people(limit: int, below: int | None = None) -> list[User]:
    """Accounts with ids lower than `below`, the newest first."""
    query = select(User).order_by(User.id.desc()).limit(limit)
    query = query.execution_options(everywhere="The desk lists people of any id.")
    return list(db.session.scalars(query if below is None else query.where(User.id < below)))


def people_called(prefix: str, limit: int, after: str = "") -> list[tuple[User, str]]:
    """Accounts whose nickname begins with `prefix` as it is folded for comparison, in that order from `after` on.

    Each comes with its folded nickname, by which the next page is asked for.
    """
    folded = fold_nickname(prefix)
    if not folded:
        return []
    # Not LIKE, whose signs people may have in their names: a range of the primary key.
    is_inside = (Nickname.folded >= folded) & (Nickname.folded <= folded + LAST_CHARACTER)
    query = select(Nickname.uid, Nickname.folded).where(is_inside, Nickname.folded > after)
    query = query.order_by(Nickname.folded).limit(limit)
    names = db.session.execute(query.execution_options(everywhere="Names that begin alike are on any machine.")).all()
    users = {user.id: user for user in db.session.scalars(select(User).where(User.id.in_([row.uid for row in names])))}
    return [(users[uid], name) for uid, name in names if uid in users]


def details_of(uid: int) -> Details:
    """Everything that the desk shows of one person. Raises NotFoundError."""
    account = load_account(uid)
    user = db.session.get(User, uid)
    if account is None or user is None:
        raise NotFoundError()
    return Details(
        account=account,
        user=user,
        phone=mask(user.phone),
        vip_status=account.vip_status,
        suspension=suspension_of(uid),
        is_operator=db.session.get(Operator, uid) is not None,
        pictures=list(db.session.scalars(select(Upload).where(Upload.uid == uid).order_by(Upload.id))),
        counts=_counts_of(uid),
    )


def _counts_of(uid: int) -> dict[str, int]:
    """How many; each is counted along an index that begins with the user's id."""
    return {
        "swipes": _count(Swipe, Swipe.uid == uid),
        "likes received": _count(LikeIn, LikeIn.sid == uid),
        "matches": _count(Friend, Friend.uid1 == uid) + _count_everywhere(Friend, Friend.uid2 == uid),
        "orders": _count_everywhere(Order, Order.uid == uid),
        "open sessions": count_sessions(uid),
    }


def _count(model: Any, condition: Any) -> int:
    return db.session.scalar(_number_of(model, condition)) or 0


def _count_everywhere(model: Any, condition: Any) -> int:
    query = _number_of(model, condition)
    return db.session.scalar(query.execution_options(everywhere="Neither side of what is counted is its column.")) or 0


def _number_of(model: Any, condition: Any) -> Select[int]:
    return select(func.count()).select_from(model).where(condition)
