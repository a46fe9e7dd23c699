"""Who may use the desk, and proof that a change was asked for by one of its own forms.

The role is read from the database on each request, so a revoked one is worth nothing from that moment on.
"""

from flask import current_app, g, redirect, request, session, url_for
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from swiper.admin.opening import is_open
from swiper.auth.sessions import UnreachableSession
from swiper.errors import BannedError, ConfirmError, CrossSiteError, NotFoundError, UnavailableError
from swiper.http.bodies import FORM, MULTIPART, check_kind
from swiper.http.security_log import SecurityEvent, record_event
from swiper.profiles.models import Status
from swiper.profiles.operators import find_caller

FORM_FIELD = "form_token"
FORM_SECONDS = 12 * 3600
# What an operator may ask for before the desk is open.
DOOR = frozenset(
    f"admin.{name}" for name in ("static", "show_unlock", "unlock", "send_setup_code", "begin_setup", "confirm_setup")
)


def require_operator() -> Response | None:
    """The hook of the desk: strangers go to the login, everyone else but operators finds nothing here.

    An operator whose session has not opened the desk yet is led to its door. Raises BannedError for a suspended
    operator, ConfirmError for a change by one who stands before the door, CrossSiteError for a change without the token
    of a form of ours.
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
    g.is_open = is_open(caller.id, session.sid)  # type: ignore[attr-defined]
    if not g.is_open and request.endpoint not in DOOR:
        return _lead_to_door()
    if request.method == "POST":
        _check_form()
    return None


def _lead_to_door() -> Response:
    if request.method not in ("GET", "HEAD"):
        raise ConfirmError()
    return redirect(url_for("admin.show_unlock", next=request.path), 303)


def _record(event: SecurityEvent, uid: int) -> None:
    record_event(event, uid=uid, endpoint=request.endpoint)


def signer(purpose: str) -> URLSafeTimedSerializer:
    """Signs what only this session may give back to us; the signature differs from second to second."""
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt=f"desk {purpose} {session.sid}")  # type: ignore[attr-defined]


def form_token() -> str:
    """What each form of the desk carries, worth something in this session alone."""
    return signer("form").dumps(str(g.operator.id))


def _check_form() -> None:
    check_kind(request, (FORM, MULTIPART))
    try:
        signer("form").loads(request.form.get(FORM_FIELD, ""), max_age=FORM_SECONDS)
    except BadData as error:
        _record(SecurityEvent.CROSS_SITE_REFUSED, g.operator.id)
        raise CrossSiteError("This form has expired; load its page again.") from error
