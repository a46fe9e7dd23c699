"""Makes accounts, suspends and deletes them."""

import logging
from datetime import datetime

from swiper.cache.invalidations import ACCOUNT, SESSIONS, invalidate_after_commit
from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.errors import BannedError, NotFoundError, ParamError
from swiper.http.responses import is_outage
from swiper.profiles import deletion_list
from swiper.profiles.cards import refresh_discovery_row
from swiper.profiles.deleted_numbers import remember, restore
from swiper.profiles.models import Status
from swiper.profiles.nicknames import first_nickname, fold_nickname, former_fold
from swiper.profiles.queries import deletion, people, profile_changes, suspensions, uploads
from swiper.profiles.queries.operators import is_operator
from swiper.signals import account_deleted, status_changed
from swiper.vip.orders import release_orders_of

log = logging.getLogger(__name__)


def create_account(uid: int, phone: str) -> None:
    """Insert the rows of a new account, in the running transaction, which has reserved `phone` (E.164) for it."""
    restore(people.insert_account(uid, phone, first_nickname(uid)))


@transactional
def set_status(uid: int, status: Status) -> None:
    """Suspend an account, which ends its sessions and removes it from all decks; or admit it again.

    Raises NotFoundError.
    """
    user = people.lock_user(uid)
    if user is None:
        raise NotFoundError()
    user.status = status
    refresh_discovery_row(user)
    invalidate_after_commit(uid, *([ACCOUNT, SESSIONS] if status is Status.SUSPENDED else [ACCOUNT]))
    status_changed.send(None, uid=uid)


def suspension_error(uid: int) -> BannedError:
    """The error for a suspended person: it has the end, null for no end. The reason is for operators only."""
    found = suspensions.find_suspension(uid)
    until = found.until.isoformat() if found and found.until else None
    return BannedError("Your account is suspended.", data={"until": until})


def delete_account(uid: int) -> None:
    """Delete everything that the service stores about a user; higher layers delete their part on `account_deleted`.

    The account is gone after the first commit. The sweep of the tombstones completes what fails after it. The list of
    deletions outside of the database is told after that commit (see `deletion_list`).

    Raises NotFoundError, and ParamError for an operator, since the log of their actions would name nobody: the role
    must be taken away first.
    """
    deleted_at = now()
    _delete_with_tombstone(uid, deleted_at)
    try:
        deletion_list.add(uid, deleted_at)
    except OSError as error:
        log.warning("the sweep will list a deleted account: %s", error.strerror)
    _remove_traces(uid)


def repeat_deletion(uid: int, deleted_at: datetime) -> bool:
    """Delete an account that was deleted at `deleted_at` and that a restored backup has brought back.

    Return False if there is no such account. An operator's account is deleted as well: the role had been taken away.
    """
    try:
        _delete_with_tombstone(uid, deleted_at, is_repeated=True)
    except NotFoundError:
        return False
    _remove_traces(uid)
    return True


def _remove_traces(uid: int) -> None:
    try:
        account_deleted.send(None, uid=uid)
    except Exception as error:
        log.warning("the sweep will remove what is left of a deleted account", exc_info=not is_outage(error))


@transactional
def _delete_with_tombstone(uid: int, deleted_at: datetime, *, is_repeated: bool = False) -> None:
    user = people.lock_user(uid)
    if user is None:
        raise NotFoundError()
    if is_operator(uid) and not is_repeated:
        raise ParamError("Whoever holds the operator's role cannot delete their account.", status=409)
    deletion.insert_tombstone(uid, deleted_at)
    remember(user, deleted_at)
    remove_owned(uid)


@transactional
def remove_owned(uid: int) -> None:
    """Delete the rows, files, sessions and cached values that belong to this user alone. Safe to repeat."""
    uploads.insert_removals(uploads.list_keys(uid), now())
    release_orders_of(uid)
    user = people.find_user(uid)
    # These two rows are deleted in one transaction with the user's own, so without that one there is neither.
    if user is not None:
        people.delete_discovery_rows(uid, user.location)
        profile_changes.delete_nickname(uid, fold_nickname(user.nickname), former_fold(user.nickname))
    deletion.delete_owned_rows(uid)
    invalidate_after_commit(uid, ACCOUNT, SESSIONS)
    status_changed.send(None, uid=uid)


@transactional
def drop_tombstone(uid: int) -> None:
    """Delete the last trace of a deleted account."""
    deletion.delete_tombstone(uid)
