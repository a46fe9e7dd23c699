"""SQL about accounts: which of some people exist, and which of them are active."""

from collections.abc import Collection

from sqlalchemy import select

from swiper.db.statements import Statement
from swiper.extensions import db
from swiper.profiles.models import User

ACTIVE = Statement("SELECT id FROM users WHERE id IN :uids AND status = 'active'", int)
COUNT_ACTIVE = Statement("SELECT count(*) FROM users WHERE id IN :uids AND status = 'active'", int)


def accounts_among(uids: Collection[int]) -> set[int]:
    """Return those of `uids` who have an account, active or not."""
    return set(db.session.scalars(select(User.id).where(User.id.in_(uids))))
