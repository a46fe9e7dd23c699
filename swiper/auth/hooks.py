"""Finds the account of the caller, for the login hook of every blueprint."""

from swiper.auth.sessions import UnreachableSession
from swiper.errors import LoginError, UnavailableError
from swiper.extensions import db, this_g, this_session
from swiper.profiles.accounts import suspension_error
from swiper.profiles.models import Status
from swiper.profiles.profiles import find_account


def authenticate(is_open_to_suspended: bool) -> None:
    """Load the caller's account into `g.uid`, `g.account` and `g.vip_status`.

    Raises LoginError for a stranger, BannedError for suspended people unless `is_open_to_suspended`, and
    UnavailableError while Redis is away.
    """
    caller = this_session()
    # A session is a Mapping, for which isinstance is slow.
    if type(caller) is UnreachableSession:
        raise UnavailableError()
    uid = caller.get("uid")
    account = find_account(uid) if uid else None
    if account is None:
        raise LoginError()
    if account.status is not Status.ACTIVE and not is_open_to_suspended:
        raise suspension_error(account.id)
    kept = this_g()
    kept.uid, kept.account, kept.vip_status = account.id, account, account.vip_status
    db.give_back_connection()
