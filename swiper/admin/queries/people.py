"""People as operators see them."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, Select, func, select

from swiper.extensions import db
from swiper.profiles.models import Nickname, Upload, User
from swiper.social.models import Friend, LikeIn, Swipe
from swiper.vip.models import Order

LAST_CHARACTER = "\U0010ffff"


def newest_people(limit: int, below: int | None = None) -> Sequence[User]:
    """Accounts with ids lower than `below`, the newest first."""
    query = select(User).order_by(User.id.desc()).limit(limit)
    if below is not None:
        query = query.where(User.id < below)
    return db.session.scalars(query.execution_options(everywhere="The list has people of any id.")).all()


def names_with_prefix(folded: str, limit: int, after: str) -> Sequence[Row[int, str]]:
    """`(uid, folded)` of folded nicknames that begin with `folded` and come after `after`, in their order."""
    # Not LIKE, because nicknames may contain its wildcards. This is a range of the primary key.
    has_prefix = (Nickname.folded >= folded) & (Nickname.folded <= folded + LAST_CHARACTER)
    query = select(Nickname.uid, Nickname.folded).where(has_prefix, Nickname.folded > after)
    query = query.order_by(Nickname.folded).limit(limit)
    return db.session.execute(query.execution_options(everywhere="Names with one prefix are on any machine.")).all()


def users_by_id(uids: Collection[int]) -> dict[int, User]:
    """Those of the accounts `uids` that exist, by id."""
    return {user.id: user for user in db.session.scalars(select(User).where(User.id.in_(uids)))}


def uploads_of(uid: int) -> Sequence[Upload]:
    """All pictures of a person, the oldest first."""
    return db.session.scalars(select(Upload).where(Upload.uid == uid).order_by(Upload.id)).all()


def count_activity(uid: int) -> dict[str, int]:
    """How many swipes, likes, matches and orders a person has. Each count reads an index that begins with the id."""
    return {
        "swipes": _count(_rows_with(Swipe.uid == uid)),
        "likes received": _count(_rows_with(LikeIn.sid == uid)),
        "matches": _count(_rows_with(Friend.uid1 == uid)) + _count_everywhere(Friend.uid2 == uid),
        "orders": _count_everywhere(Order.uid == uid),
    }


def _count_everywhere(condition: Any) -> int:
    query = _rows_with(condition)
    return _count(query.execution_options(everywhere="The condition is not about the distribution column."))


def _count(query: Select[int]) -> int:
    return db.session.scalar(query) or 0


def _rows_with(condition: Any) -> Select[int]:
    return select(func.count()).where(condition)
