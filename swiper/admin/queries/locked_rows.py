"""Rows of other features that an operator changes.

Each is locked until the transaction ends, so that the audit log tells the state that the change really replaced.
"""

from swiper.extensions import db
from swiper.profiles.models import User


def lock_user(uid: int) -> User | None:
    """The account as it is now, locked; None when it is gone."""
    return db.session.get(User, uid, with_for_update=True, populate_existing=True)
