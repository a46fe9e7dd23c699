"""Accounts: found or made at login, suspended, deleted."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from redis.exceptions import RedisError
from sqlalchemy import delete, select

from swiper.auth import quick
from swiper.auth.cards import publish
from swiper.auth.codes import redeem_code, restore_code
from swiper.auth.deleted_numbers import digest_of, remember, restore
from swiper.auth.models import (
    Discovery,
    FileRemoval,
    Nickname,
    Operator,
    Phone,
    Preferences,
    ProfileChange,
    SmsOutbox,
    Status,
    Suspension,
    Tombstone,
    Upload,
    User,
)
from swiper.auth.nicknames import first_nickname
from swiper.auth.phones import parse_code, parse_phone
from swiper.auth.profiles import Account, assemble, load_account, own_account
from swiper.cache.invalidations import ACCOUNT, SESSIONS, invalidate
from swiper.clock import now
from swiper.db.transactions import again_on_conflict, quick_lane, transactional
from swiper.db.upsert import insert_if_absent
from swiper.errors import (
    BannedError,
    CodeError,
    ConfirmError,
    LoginError,
    NotFoundError,
    ParamError,
    UnavailableError,
)
from swiper.extensions import db
from swiper.fastpath.postgres_statements import StatementRunner
from swiper.http.responses import is_outage
from swiper.ids import new_id
from swiper.outages import is_redis_away
from swiper.signals import account_deleted, status_changed
from swiper.vip.models import Membership, Order, PaidPeriod, Ticket
from swiper.vip.orders import release_orders_of
from swiper.vip.quotas import Quota

log = logging.getLogger(__name__)

R = TypeVar("R")

# More than can ever fail, so that those behind are reached.
SWEPT_AT_ONCE = 1_000
CODE_IN_DOUBT = "The service is not available right now. The code may be used up; if it is refused, ask for a new one."


def log_in(phonenum: str, code: str, open_session: Callable[[Account], R], challenge: str = "") -> R:
    """What `open_session` makes of the account that a right code opens; the account is made at the first login.

    `challenge` came when the code was asked for.

    Raises ParamError for a bad number, CodeError for a wrong, expired, used or locked code, BannedError for a suspended
    account, whose session is open all the same for what it may still do, LoginError for an account that is deleted at
    this moment. When the login fails after the code was consumed, the code becomes valid again; where that is not
    certain, the UnavailableError says so.
    """

    def enter() -> tuple[R, BannedError | None]:
        account = find_or_create(phone)
        answer = open_session(account)
        return answer, suspension_error(account.id) if account.status is Status.SUSPENDED else None

    phone = parse_phone(phonenum)
    answer, refusal = _spend_code(phone, code, challenge, enter)
    if refusal:
        raise refusal
    return answer


def _spend_code(phone: str, code: str, challenge: str, act: Callable[[], R]) -> R:
    """What `act` answers, once the code is consumed; when it fails, the code becomes valid again."""
    digits = parse_code(code)
    if digits is None:
        # What can be no code costs no guess.
        raise CodeError()
    rest_ms = _redeem(phone, digits, challenge)
    try:
        return act()
    except Exception:
        _restore(phone, digits, rest_ms)
        raise


def _redeem(phone: str, code: str, challenge: str) -> int:
    try:
        rest_ms = redeem_code(phone, code, challenge)
    except RedisError as error:
        if is_redis_away(error):
            raise UnavailableError(CODE_IN_DOUBT) from error
        raise
    if not rest_ms:
        raise CodeError()
    return rest_ms


def _restore(phone: str, code: str, rest_ms: int) -> None:
    try:
        restore_code(phone, code, rest_ms)
    except RedisError as error:
        log.warning("a code could not be made valid again: %s", type(error).__name__)
        raise UnavailableError(CODE_IN_DOUBT) from error


def confirm(phone: str, code: str, act: Callable[[], R], challenge: str = "") -> R:
    """What `act` answers, once `code` is a fresh one of the caller's own number: a session alone is not enough for it.

    Raises ConfirmError without a code, CodeError for one that does not count. When `act` fails, the code becomes valid
    again; where that is not certain, the UnavailableError says so.
    """
    if not code:
        raise ConfirmError()
    return _spend_code(phone, code, challenge, act)


def find_or_create(phone: str) -> Account:
    """The account of a number (E.164). Two first logins at once make one account.

    Raises LoginError when it is deleted at this moment.
    """
    lane = quick_lane()
    if lane is None:
        return own_account(_find_or_create(phone))
    found = again_on_conflict("find_or_create", lambda: (_find_or_create_quickly(lane, phone), []))
    if found is None:
        raise LoginError()
    return found


def _find_or_create_quickly(lane: StatementRunner, phone: str) -> Account | None:
    find = (quick.ACCOUNT_OF_PHONE, [phone]), (quick.ALBUM_OF_PHONE, [phone])
    found = assemble(*lane.read(*find))
    if found is None:
        uid = new_id()
        # Where somebody else is quicker this makes nothing, and what they have made is found.
        _, *rows = lane.ask((quick.CREATE, [phone, uid, first_nickname(uid), now(), digest_of(phone)]), *find)
        found = assemble(*rows)
    # What a number has kept is rare, and given to the account by the long way.
    return found or load_account(_find_or_create(phone))


@transactional
def _find_or_create(phone: str) -> int:
    uid = db.session.scalar(select(Phone.uid).where(Phone.phone == phone))
    if uid is None:
        fresh = new_id()
        insert_if_absent(Phone, [{"phone": phone, "uid": fresh}], ["phone"])
        uid = db.session.scalars(select(Phone.uid).where(Phone.phone == phone)).one()
        if uid == fresh:
            _add_user(uid, phone)
    return uid


def _add_user(uid: int, phone: str) -> None:
    nickname = first_nickname(uid)
    user = User(id=uid, phone=phone, nickname=nickname)
    db.session.add(user)
    db.session.flush()
    db.session.add_all([Preferences(uid=uid), Nickname(folded=nickname, uid=uid)])
    db.session.flush()
    restore(user)


def find_by_phone(phone: str) -> int:
    """The account of a number as stored (E.164, or a robot's). Raises NotFoundError."""
    uid = db.session.scalar(select(Phone.uid).where(Phone.phone == phone))
    if uid is None:
        raise NotFoundError()
    return uid


@transactional
def set_status(uid: int, status: Status) -> None:
    """Suspend an account, or admit it again. Suspending ends its sessions and takes it out of all decks."""
    user = db.session.get(User, uid, with_for_update=True, populate_existing=True)
    if user is None:
        raise NotFoundError()
    user.status = status
    publish(user)
    invalidate(uid, *([ACCOUNT, SESSIONS] if status is Status.SUSPENDED else [ACCOUNT]))
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
    _bury(uid)
    try:
        account_deleted.send(None, uid=uid)
    except Exception as error:
        log.warning("what is left of a deleted account waits for the sweep", exc_info=not is_outage(error))


@transactional
def _bury(uid: int) -> None:
    user = db.session.get(User, uid, with_for_update=True, populate_existing=True)
    if user is None:
        raise NotFoundError()
    if db.session.get(Operator, uid, populate_existing=True) is not None:
        raise ParamError("Whoever holds the operator's role cannot delete their account.", status=409)
    insert_if_absent(Tombstone, [{"uid": uid, "deleted_at": now()}], ["uid"])
    db.session.execute(delete(SmsOutbox).where(SmsOutbox.phone == user.phone))
    remember(user)
    remove_owned(uid)


@transactional
def remove_owned(uid: int) -> None:
    """Remove the rows, files, sessions and cached values that belong to a user alone. Safe to repeat."""
    keys = db.session.scalars(select(Upload.key).where(Upload.uid == uid)).all()
    if keys:
        insert_if_absent(FileRemoval, [{"key": key, "created_at": now()} for key in keys], ["key"])
    release_orders_of(uid)
    for owned in (
        Discovery,
        Upload,
        Preferences,
        Phone,
        Nickname,
        Operator,
        Suspension,
        ProfileChange,
        Membership,
        PaidPeriod,
        Order,
        Ticket,
        Quota,
    ):
        db.session.execute(delete(owned).where(owned.uid == uid))
    db.session.execute(delete(User).where(User.id == uid))
    invalidate(uid, ACCOUNT, SESSIONS)
    status_changed.send(None, uid=uid)


def old_tombstones(limit: Any) -> list[int]:
    """Ids of accounts deleted before `limit`, whose traces should be swept once more, the oldest first."""
    query = select(Tombstone.uid).where(Tombstone.deleted_at < limit).order_by(Tombstone.deleted_at)
    return list(db.session.scalars(query.limit(SWEPT_AT_ONCE)))


@transactional
def drop_tombstone(uid: int) -> None:
    """The last trace of a deleted account."""
    db.session.execute(delete(Tombstone).where(Tombstone.uid == uid))
