"""Login by code, and the confirmation of an action by a fresh code. The first login creates the account."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from redis.exceptions import RedisError

from swiper.auth import queries
from swiper.auth.challenges import parse_code, unuse_code, use_code
from swiper.auth.code_budgets import count_used, uncount_used
from swiper.clock import now
from swiper.db.statements import on_single_node, read, together
from swiper.db.transactions import again_on_conflict, transactional
from swiper.encryption import has_fallbacks
from swiper.errors import BannedError, CodeError, ConfirmError, NotFoundError, UnavailableError
from swiper.ids import new_id
from swiper.outages import is_redis_away
from swiper.profiles.accounts import create_account, suspension_error
from swiper.profiles.deleted_numbers import digests_of
from swiper.profiles.models import Status
from swiper.profiles.nicknames import first_nickname
from swiper.profiles.profiles import Account, assemble, own_account
from swiper.signals import account_deleting
from swiper.sms.phone_numbers import parse_phone

log = logging.getLogger(__name__)

R = TypeVar("R")

CODE_IN_DOUBT = "The service is not available right now. The code may be used up; if it is refused, ask for a new one."


def log_in(phonenum: str, code: str, open_session: Callable[[Account], R], challenge: str = "") -> R:
    """Check a code, find or create the account of the number, and return what `open_session(account)` returns.

    `challenge` is what the client got when it asked for the code.

    Raises ParamError for a bad number, CodeError for a wrong, expired, used or locked code, and LoginError for an
    account that is being deleted. Raises BannedError for a suspended account, after its session was opened for the
    views that it may still use. If the login fails after the code was consumed, the code becomes valid again; if this
    is not certain, the UnavailableError says so.
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
    """Consume the code and return what `act` returns. If `act` fails, the code becomes valid again."""
    digits = parse_code(code)
    if digits is None:
        # A text that cannot be a code does not count as a guess.
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


def redeem_code(phone: str, code: str, challenge: str = "", *, purpose: str = "login") -> int:
    """Consume a code of a number. Return the milliseconds it was still valid if `code` is right, otherwise 0.

    Each call counts as a guess of `challenge`, or of the number if the challenge is not known. After `CODE_MAX_GUESSES`
    wrong guesses the challenge, or the number, allows no more. One script compares, counts and consumes, so
    simultaneous requests with the same code log in once.
    """
    rest_ms = use_code(phone, code, purpose, challenge)
    if rest_ms:
        count_used()
    return rest_ms


def restore_code(phone: str, code: str, rest_ms: int, *, purpose: str = "login") -> None:
    """Make a redeemed code valid again for `rest_ms` milliseconds, since its login could not be completed."""
    unuse_code(phone, code, purpose, rest_ms)
    uncount_used()


def confirm(phone: str, code: str, act: Callable[[], R], challenge: str = "") -> R:
    """Check a fresh code of the caller's own number, and return what `act` returns.

    Raises ConfirmError without a code, and CodeError for a wrong one. If `act` fails, the code becomes valid again; if
    this is not certain, the UnavailableError says so.
    """
    if not code:
        raise ConfirmError()
    return _spend_code(phone, code, challenge, act)


def _find_or_create_single_node(phone: str) -> Account:
    found: Account | None = again_on_conflict("find_or_create", lambda: (_try_single_node(phone), []))
    # A number of a deleted account may have something to pass on, which needs several steps. This is rare.
    return found or own_account(_find_or_create(phone))


def _try_single_node(phone: str) -> Account | None:
    find = (queries.ACCOUNT_OF_PHONE, {"phone": phone}), (queries.ALBUM_OF_PHONE, {"phone": phone})
    found = assemble(*read(*find))
    # The statement below looks for what the number has kept under the digest of SECRET_KEY alone.
    if found is None and not has_fallbacks():
        uid, digest = new_id(), digests_of(phone)[0]
        row = {"phone": phone, "uid": uid, "nickname": first_nickname(uid), "now": now(), "digest": digest}
        # If another request was first, this creates nothing, and the account of that request is found.
        _, *rows = together((queries.CREATE, row), *find)
        found = assemble(*rows)
    return found


@on_single_node(_find_or_create_single_node)
def find_or_create(phone: str) -> Account:
    """Return the account of a number (E.164). Two simultaneous first logins create one account.

    Raises LoginError for an account that is being deleted.
    """
    return own_account(_find_or_create(phone))


@transactional
def _find_or_create(phone: str) -> int:
    uid = _uid_of(phone)
    if uid is None:
        fresh = new_id()
        queries.insert_phone(phone, fresh)
        uid = _uid_of(phone)
        assert uid is not None
        if uid == fresh:
            create_account(uid, phone)
    return uid


def _uid_of(phone: str) -> int | None:
    (rows,) = read((queries.UID_OF_PHONE, {"phone": phone}))
    return rows[0][0] if rows else None


def find_by_phone(phone: str) -> int:
    """Return the user id of a number as stored (E.164, or a robot's). Raises NotFoundError."""
    uid = _uid_of(phone)
    if uid is None:
        raise NotFoundError()
    return uid


@account_deleting.connect
def free_number(_sender: Any, *, phone: str, **_: Any) -> None:
    """Free the number of an account that is being deleted, so that it can open a new account."""
    queries.delete_phone(phone)
