"""The door of the desk: a second factor for each session, and setting one up with a fresh login code."""

import re
import time
from typing import Any

import segno
from flask import g, redirect, request, session, url_for

from swiper.admin import changes, opening, schemas, second_factor
from swiper.admin.views.base import blueprint, go, show
from swiper.auth import codes, login, tasks
from swiper.errors import ApiError, CodeError, NotFoundError, RateLimitedError
from swiper.http.security_log import SecurityEvent, record_event, refusals_recorded
from swiper.profiles.profiles import own_account
from swiper.tasks.queue import enqueue_batched

_code, _setup = schemas.CodeIn(), schemas.SetupIn()
# Whoever has just logged in has just shown that the phone is theirs.
FRESH_SECONDS = 600
REFUSALS: dict[type[ApiError], SecurityEvent] = {
    CodeError: SecurityEvent.SECOND_FACTOR_FAILED,
    RateLimitedError: SecurityEvent.LOCKED_OUT,
}


def _whose() -> dict[str, Any]:
    return {"uid": g.operator.id, "endpoint": request.endpoint}


def _open() -> None:
    opening.open_desk(g.operator.id, session.sid)  # type: ignore[attr-defined]
    record_event(SecurityEvent.DESK_OPENED, **_whose())


@blueprint.get("/unlock")
def show_unlock() -> Any:
    """Ask for a code of the authenticator; whoever has none is led to set one up."""
    if second_factor.has_factor(g.operator.id):
        return show("unlock.html", following=request.args.get("next", ""))
    return show("enrol.html", step="begin" if _is_fresh() else "ask")


@blueprint.post("/unlock")
def unlock() -> Any:
    """Open the desk in this session."""
    given = _code.load(request.form)
    with refusals_recorded(REFUSALS, _whose):
        second_factor.count_attempt(g.operator.id)
        changes.open_desk(g.operator.id, given["code"])
    _open()
    return redirect(given["next"] if _is_page(given["next"]) else url_for("admin.overview"), 303)


def _is_page(path: str) -> bool:
    """True for the path of a page of the desk: anything with a host in it would lead a browser elsewhere."""
    return re.fullmatch(r"/admin/[a-z0-9/]*", path, re.ASCII) is not None


@blueprint.post("/unlock/send")
def send_setup_code() -> Any:
    """Send a login code to the operator's own phone: a stolen session alone sets nothing up."""
    _require_none()
    phone = own_account(g.operator.id).phone
    outbox_id = codes.issue_code(phone, request.remote_addr or "", is_own=True).outbox_id
    if outbox_id is not None:
        enqueue_batched(tasks.send_code, tasks.send_codes, outbox_id)
    return show("enrol.html", step="sent")


@blueprint.post("/unlock/begin")
def begin_setup() -> Any:
    """Show the secret of a new authenticator to whoever has just logged in, or has the code that was sent."""
    _require_none()
    given = _setup.load(request.form)
    uid = g.operator.id
    if _is_fresh():
        return _show_secret(second_factor.begin(uid))
    with refusals_recorded(REFUSALS, _whose):
        second_factor.count_attempt(uid)
        secret = login.confirm(own_account(uid).phone, given["code"], lambda: second_factor.begin(uid))
    return _show_secret(secret)


def _is_fresh() -> bool:
    made_at: float = session.get("made_at", 0)
    return time.time() - made_at < FRESH_SECONDS


def _show_secret(secret: str) -> Any:
    address = second_factor.address_of(secret, g.operator.nickname)
    # Markup of ours: the library escapes what it draws.
    picture = segno.make(address, error="m").svg_inline(scale=5, border=2, light="#fff", dark="#000")
    return show("enrol.html", step="secret", secret=secret, picture=picture)


@blueprint.post("/unlock/confirm")
def confirm_setup() -> Any:
    """Make the authenticator count, open the desk, and show the recovery codes this once."""
    given = _code.load(request.form)
    with refusals_recorded(REFUSALS, _whose):
        second_factor.count_attempt(g.operator.id)
        recovery_codes = changes.set_second_factor(g.operator.id, given["code"])
    _open()
    return show("enrol.html", step="done", recovery_codes=recovery_codes)


@blueprint.post("/lock")
def lock() -> Any:
    """Close the desk in this session."""
    opening.close_desk(g.operator.id, session.sid)  # type: ignore[attr-defined]
    return go("admin.show_unlock", "The desk is closed.")


def _require_none() -> None:
    if second_factor.has_factor(g.operator.id):
        raise NotFoundError()
