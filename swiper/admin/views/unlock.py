"""The pages that unlock the desk in a session by a second factor, and that set up a second factor."""

import re
import time
from typing import Any

import segno
from flask import g, redirect, request, session, url_for

from swiper.admin import changes, schemas, second_factor, unlocks
from swiper.admin.views.base import blueprint, redirect_to, render_page
from swiper.auth import codes, login, tasks
from swiper.errors import ApiError, CodeError, NotFoundError, RateLimitedError
from swiper.logs import SecurityEvent, record_event, refusals_recorded
from swiper.profiles.profiles import own_account
from swiper.tasks.queue import enqueue_batched

_code, _setup = schemas.CodeIn(), schemas.SetupIn()
# A session that is younger than this proves by its login that the phone is the operator's.
FRESH_SECONDS = 600
REFUSAL_EVENTS: dict[type[ApiError], SecurityEvent] = {
    CodeError: SecurityEvent.SECOND_FACTOR_FAILED,
    RateLimitedError: SecurityEvent.LOCKED_OUT,
}


def _event_fields() -> dict[str, Any]:
    return {"uid": g.operator.id, "endpoint": request.endpoint}


def _unlock_session() -> None:
    unlocks.unlock(g.operator.id, session.sid)  # type: ignore[attr-defined]
    record_event(SecurityEvent.DESK_OPENED, **_event_fields())


@blueprint.get("/unlock")
def show_unlock() -> Any:
    """The form for a code of the authenticator; for operators without one, the first step of setting it up."""
    if second_factor.has_factor(g.operator.id):
        return render_page("unlock.html", following=request.args.get("next", ""))
    return render_page("enrol.html", step="begin" if _is_fresh() else "ask")


@blueprint.post("/unlock")
def unlock() -> Any:
    """Unlock the desk in this session, and redirect to the page `next`."""
    given = _code.load(request.form)
    with refusals_recorded(REFUSAL_EVENTS, _event_fields):
        second_factor.count_attempt(g.operator.id)
        changes.check_second_factor(g.operator.id, given["code"])
    _unlock_session()
    return redirect(given["next"] if _is_admin_path(given["next"]) else url_for("admin.overview"), 303)


def _is_admin_path(path: str) -> bool:
    """True for a path of the desk. Other text could contain a host, and redirect the browser to another site."""
    return re.fullmatch(r"/admin/[a-z0-9/]*", path, re.ASCII) is not None


@blueprint.post("/unlock/send")
def send_setup_code() -> Any:
    """Send a login code to the operator's phone. With a stolen session alone, nobody can set up an authenticator."""
    _require_no_factor()
    phone = own_account(g.operator.id).phone
    outbox_id = codes.issue_code(phone, request.remote_addr or "", is_own=True).outbox_id
    if outbox_id is not None:
        enqueue_batched(tasks.send_code, tasks.send_codes, outbox_id)
    return render_page("enrol.html", step="sent")


@blueprint.post("/unlock/begin")
def begin_setup() -> Any:
    """Show the secret of a new authenticator, after a login just now or with the code that was sent."""
    _require_no_factor()
    given = _setup.load(request.form)
    uid = g.operator.id
    if _is_fresh():
        return _show_secret(second_factor.begin(uid))
    with refusals_recorded(REFUSAL_EVENTS, _event_fields):
        second_factor.count_attempt(uid)
        secret = login.confirm(own_account(uid).phone, given["code"], lambda: second_factor.begin(uid))
    return _show_secret(secret)


def _is_fresh() -> bool:
    made_at: float = session.get("made_at", 0)
    return time.time() - made_at < FRESH_SECONDS


def _show_secret(secret: str) -> Any:
    url = second_factor.otpauth_url(secret, g.operator.nickname)
    # The template inserts this without escaping; segno writes only markup of its own.
    picture = segno.make(url, error="m").svg_inline(scale=5, border=2, light="#fff", dark="#000")
    return render_page("enrol.html", step="secret", secret=secret, picture=picture)


@blueprint.post("/unlock/confirm")
def confirm_setup() -> Any:
    """Confirm the authenticator, unlock the desk, and show the recovery codes, which are never shown again."""
    given = _code.load(request.form)
    with refusals_recorded(REFUSAL_EVENTS, _event_fields):
        second_factor.count_attempt(g.operator.id)
        recovery_codes = changes.set_second_factor(g.operator.id, given["code"])
    _unlock_session()
    return render_page("enrol.html", step="done", recovery_codes=recovery_codes)


@blueprint.post("/lock")
def lock() -> Any:
    """Lock the desk in this session."""
    unlocks.lock(g.operator.id, session.sid)  # type: ignore[attr-defined]
    return redirect_to("admin.show_unlock", "The desk is closed.")


def _require_no_factor() -> None:
    if second_factor.has_factor(g.operator.id):
        raise NotFoundError()
