"""People as operators find and see them: by id, or by the beginning of a nickname; phone numbers are masked."""

from collections.abc import Sequence
from dataclasses import dataclass

from swiper.admin.queries import people as queries
from swiper.auth.session_list import count_sessions
from swiper.errors import NotFoundError
from swiper.logs import mask
from swiper.profiles.models import Suspension, Upload, User
from swiper.profiles.nicknames import fold_nickname
from swiper.profiles.operators import find_caller
from swiper.profiles.queries.people import find_user
from swiper.profiles.queries.suspensions import find_suspension
from swiper.vip.levels import VipStatus, vip_status_of


@dataclass(frozen=True)
class Details:
    """What the desk shows of one person; `phone` is masked, `counts` has numbers by English name."""

    user: User
    phone: str
    vip_status: VipStatus
    suspension: Suspension | None
    is_operator: bool
    pictures: Sequence[Upload]
    counts: dict[str, int]


def newest_people(limit: int, below: int | None = None) -> Sequence[User]:
    """At most `limit` accounts with ids lower than `below`, the newest first."""
    return queries.newest_people(limit, below)


def people_called(prefix: str, limit: int, after: str = "") -> list[tuple[User, str]]:
    """At most `limit` accounts whose folded nickname begins with the folded `prefix`, in the order of folded nicknames.

    Each comes with its folded nickname. The last of these is `after` for the next page.
    """
    folded = fold_nickname(prefix)
    if not folded:
        return []
    names = queries.names_with_prefix(folded, limit, after)
    users = queries.users_by_id([row.uid for row in names])
    return [(users[row.uid], row.folded) for row in names if row.uid in users]


def details_of(uid: int) -> Details:
    """Everything that the desk shows of one person. Raises NotFoundError."""
    user, caller = find_user(uid), find_caller(uid)
    if user is None or caller is None:
        raise NotFoundError()
    return Details(
        user=user,
        phone=mask(user.phone),
        vip_status=vip_status_of(uid),
        suspension=find_suspension(uid),
        is_operator=caller.is_operator,
        pictures=queries.uploads_of(uid),
        counts=queries.count_activity(uid) | {"open sessions": count_sessions(uid)},
    )
