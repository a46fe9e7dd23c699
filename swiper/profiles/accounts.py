"""Accounts: made, suspended, deleted."""

import logging
from typing import Any

from sqlalchemy import delete, select

from swiper.cache.invalidations import ACCOUNT, SESSIONS, invalidate_after_commit
from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.db.upsert import insert_if_absent
from swiper.errors import BannedError, NotFoundError, ParamError
from swiper.extensions import db
from swiper.http.responses import is_outage
from swiper.profiles.cards import drop_discovery_row, refresh_discovery_row
from swiper.profiles.deleted_numbers import remember, restore
from swiper.profiles.models import (
    FileRemoval,
    Nickname,
    Operator,
    Preferences,
    ProfileChange,
    Status,
    Suspension,
    Tombstone,
    Upload,
    User,
)
from swiper.profiles.nicknames import first_nickname, fold_nickname
from swiper.signals import account_deleted, status_changed
from swiper.vip.models import Membership, Order, PaidPeriod, Quota, Ticket
from swiper.vip.orders import release_orders_of

log = logging.getLogger(__name__)

# More than can ever fail, so that those behind are reached.
SWEPT_AT_ONCE = 1_000


def create_account(uid: int, phone: str) -> None:
    """Add the rows of a new account, in the running transaction, which has made `phone` (E.164) its own."""
    nickname = first_nickname(uid)
    user = User(id=uid, phone=phone, nickname=nickname)
    db.session.add(user)
    db.session.flush()
    db.session.add_all([Preferences(uid=uid), Nickname(folded=nickname, uid=uid)])
    db.session.flush()
    restore(user)


@transactional
def set_status(uid: int, status: Status) -> None:
    """Suspend an account, or admit it again. Suspending ends its sessions and takes it out of all decks."""
    user = db.session.get(User, uid, with_for_update=True, populate_existing=True)
    if user is None:
        raise NotFoundError()
    user.status = status
    refresh_discovery_row(user)
    invalidate_after_commit(uid, *([ACCOUNT, SESSIONS] if status is Status.SUSPENDED else [ACCOUNT]))
    status_changed.send(None, uid=uid)


def suspension_error(uid: int) -> BannedError:
    """What a suspended person is told: until when, null for good. The reason is the operators' own note."""
    held = db.session.get(Suspension, uid, populate_existing=True)
    until = held.until.isoformat() if held and held.until else None
    return BannedError("Your account is suspended.", data={"until": until})


def delete_account(uid: int) -> None:
    """Remove everything the service holds on a user; higher layers remove their part on `account_deleted`.

    Raises ParamError for an operator: the log of what they did would name nobody, and the role is given back first.
    From the first commit on the account is gone. What fails after that is finished by the sweep of the tombstones.
    """
    _delete_with_tombstone(uid)
    try:
        account_deleted.send(None, uid=uid)
    except Exception as error:
        log.warning("what is left of a deleted account waits for the sweep", exc_info=not is_outage(error))


@transactional
def _delete_with_tombstone(uid: int) -> None:
    user = db.session.get(User, uid, with_for_update=True, populate_existing=True)
    if user is None:
        raise NotFoundError()
    if db.session.get(Operator, uid, populate_existing=True) is not None:
        raise ParamError("Whoever holds the operator's role cannot delete their account.", status=409)
    insert_if_absent(Tombstone, [{"uid": uid, "deleted_at": now()}], ["uid"])
    remember(user)
    remove_owned(uid)


@transactional
def remove_owned(uid: int) -> None:
    """Remove the rows, files, sessions and cached values that belong to a user alone. Safe to repeat."""
    keys = db.session.scalars(select(Upload.key).where(Upload.uid == uid)).all()
    if keys:
        insert_if_absent(FileRemoval, [{"key": key, "created_at": now()} for key in keys], ["key"])
    release_orders_of(uid)
    user = db.session.get(User, uid)
    if user is not None:
        # The user's own row goes in the same transaction, so whoever finds none finds neither of these two.
        drop_discovery_row(uid, user.location)
        db.session.execute(delete(Nickname).where(Nickname.folded == fold_nickname(user.nickname), Nickname.uid == uid))
    for owned in (
        Upload,
        Preferences,
        Operator,
        Suspension,
        ProfileChange,
        Membership,
        PaidPeriod,
        Ticket,
        Quota,
    ):
        db.session.execute(delete(owned).where(owned.uid == uid))
    orders = delete(Order).where(Order.uid == uid)
    db.session.execute(orders.execution_options(everywhere="Orders are distributed by their own id."))
    db.session.execute(delete(User).where(User.id == uid))
    invalidate_after_commit(uid, ACCOUNT, SESSIONS)
    status_changed.send(None, uid=uid)


def old_tombstones(limit: Any) -> list[int]:
    """Ids of accounts deleted before `limit`, whose traces should be swept once more, the oldest first."""
    query = select(Tombstone.uid).where(Tombstone.deleted_at < limit).order_by(Tombstone.deleted_at)
    query = query.limit(SWEPT_AT_ONCE).execution_options(everywhere="The sweep looks for deleted accounts of any id.")
    return list(db.session.scalars(query))


@transactional
def drop_tombstone(uid: int) -> None:
    """The last trace of a deleted account."""
    db.session.execute(delete(Tombstone).where(Tombstone.uid == uid))
