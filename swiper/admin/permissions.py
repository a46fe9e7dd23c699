"""Checks that a request for the desk comes from an operator, and that a change comes from one of its forms.

The role is read from the database for each request, so a revoked role ends at once.
"""

from flask import g, redirect, request, session, url_for
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from swiper.admin.unlocks import is_unlocked
from swiper.auth.sessions import UnreachableSession
from swiper.encryption import secret_keys
from swiper.errors import BannedError, ConfirmError, CrossSiteError, NotFoundError, UnavailableError
from swiper.http.bodies import FORM, MULTIPART, check_kind
from swiper.logs import SecurityEvent, record_event
from swiper.profiles.models import Status
from swiper.profiles.operators import find_caller

FORM_FIELD = "form_token"
FORM_SECONDS = 12 * 3600
# The endpoints that an operator may use while the desk is locked.
UNLOCK_ENDPOINTS = frozenset(
    f"admin.{name}" for name in ("static", "show_unlock", "unlock", "send_setup_code", "begin_setup", "confirm_setup")
)


def require_operator() -> Response | None:
    """The hook before each request of the blueprint. Sets `g.operator` and `g.is_unlocked`.

    Without a login it redirects to the login page, while the desk is locked to the page that unlocks it. Raises
    NotFoundError for people who are not operators, BannedError for suspended operators, ConfirmError for a change while
    the desk is locked, CrossSiteError for a change without a valid form token, UnavailableError if Redis is away.
    """
    if request.method == "OPTIONS":
        return None
    if isinstance(session, UnreachableSession):
        raise UnavailableError()
    uid = session.get("uid")
    caller = find_caller(uid) if uid else None
    if caller is None:
        return redirect("/?next=/admin")
    if not caller.is_operator:
        _record(SecurityEvent.DESK_REFUSED, caller.id)
        raise NotFoundError()
    if caller.status is not Status.ACTIVE:
        _record(SecurityEvent.DESK_REFUSED, caller.id)
        raise BannedError()
    g.operator = caller
    g.is_unlocked = is_unlocked(caller.id, session.sid)  # type: ignore[attr-defined]
    if not g.is_unlocked and request.endpoint not in UNLOCK_ENDPOINTS:
        return _redirect_to_unlock()
    if request.method == "POST":
        _check_form()
    return None


def _redirect_to_unlock() -> Response:
    if request.method not in ("GET", "HEAD"):
        raise ConfirmError()
    return redirect(url_for("admin.show_unlock", next=request.path), 303)


def _record(event: SecurityEvent, uid: int) -> None:
    record_event(event, uid=uid, endpoint=request.endpoint)


def signer(purpose: str) -> URLSafeTimedSerializer:
    """Signs text that only this session can send back. Signatures contain their time, in seconds."""
    # The last key signs, and each of them is accepted.
    keys = [*reversed(secret_keys())]
    return URLSafeTimedSerializer(keys, salt=f"desk {purpose} {session.sid}")  # type: ignore[attr-defined]


def form_token() -> str:
    """The token of the forms of the desk. It is valid in this session only, for `FORM_SECONDS`."""
    return signer("form").dumps(str(g.operator.id))


def _check_form() -> None:
    check_kind(request, (FORM, MULTIPART))
    try:
        signer("form").loads(request.form.get(FORM_FIELD, ""), max_age=FORM_SECONDS)
    except BadData as error:
        _record(SecurityEvent.CROSS_SITE_REFUSED, g.operator.id)
        raise CrossSiteError("This form has expired; load its page again.") from error
