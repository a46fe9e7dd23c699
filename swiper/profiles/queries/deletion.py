"""SQL that deletes accounts, and the tombstones that they leave."""

from datetime import datetime

from sqlalchemy import delete, select

from swiper.db.upsert import insert_if_absent
from swiper.extensions import db
from swiper.profiles.models import Operator, Preferences, ProfileChange, Suspension, Tombstone, Upload, User
from swiper.vip.models import Membership, Order, PaidPeriod, Quota, Ticket

# More tombstones than can ever fail in one sweep, so that a sweep also reaches those behind them.
SWEPT_AT_ONCE = 1_000
OWNED = (Upload, Preferences, Operator, Suspension, ProfileChange, Membership, PaidPeriod, Ticket, Quota)


def delete_owned_rows(uid: int) -> None:
    """Delete the user's row and all rows that belong to this user alone, except nickname and row of the deck."""
    for owned in OWNED:
        db.session.execute(delete(owned).where(owned.uid == uid))
    orders = delete(Order).where(Order.uid == uid)
    db.session.execute(orders.execution_options(everywhere="Orders are distributed by their own id."))
    db.session.execute(delete(User).where(User.id == uid))


def insert_tombstone(uid: int, deleted_at: datetime) -> None:
    """Insert a deleted account's tombstone; an existing one stays as it is."""
    insert_if_absent(Tombstone, [{"uid": uid, "deleted_at": deleted_at}], ["uid"])


def list_tombstones(deleted_before: datetime) -> list[tuple[int, datetime]]:
    """Ids and times of at most `SWEPT_AT_ONCE` accounts that were deleted before a moment, the oldest first."""
    query = select(Tombstone.uid, Tombstone.deleted_at).where(Tombstone.deleted_at < deleted_before)
    query = query.order_by(Tombstone.deleted_at).limit(SWEPT_AT_ONCE)
    query = query.execution_options(everywhere="The sweep looks for deleted accounts of any id.")
    return [(uid, deleted_at) for uid, deleted_at in db.session.execute(query)]


def delete_tombstone(uid: int) -> None:
    """Delete the last trace of a deleted account."""
    db.session.execute(delete(Tombstone).where(Tombstone.uid == uid))
