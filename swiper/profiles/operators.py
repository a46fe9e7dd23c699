"""The operator's role: people who may use the admin pages."""

from dataclasses import dataclass

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.errors import NotFoundError
from swiper.profiles.models import Status
from swiper.profiles.queries import operators as queries
from swiper.profiles.queries.people import lock_user


@dataclass(frozen=True)
class Caller:
    """Somebody who asks for an admin page."""

    id: int
    nickname: str
    status: Status
    is_operator: bool


def find_caller(uid: int) -> Caller | None:
    """The account and its role as the database has them now; None when the account is gone."""
    row = queries.find_caller(uid)
    return Caller(uid, row.nickname, row.status, row.uid is not None) if row else None


@transactional
def grant_role(uid: int) -> bool:
    """Make somebody an operator; False if they are one already. Raises NotFoundError for a deleted account."""
    if lock_user(uid) is None:
        raise NotFoundError()
    if queries.is_operator(uid):
        return False
    queries.insert_operator(uid, now())
    return True


@transactional
def revoke_role(uid: int) -> bool:
    """Take the role away; False if there was none."""
    return queries.delete_operator(uid)
