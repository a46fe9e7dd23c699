"""The `auth` blueprint: login by code, logout, the list of sessions, and what a fresh code must confirm."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from flask import Response, after_this_request, current_app, g, jsonify, request, session, stream_with_context

from swiper.auth import codes, schemas, session_list, sessions, tasks
from swiper.auth.code_budgets import count_guess
from swiper.auth.devices import VALID_SECONDS, describe_device, remember_device
from swiper.auth.login import confirm, log_in
from swiper.errors import ApiError, BannedError, CodeError, NotFoundError, RateLimitedError
from swiper.http.blueprints import Blueprint, ok
from swiper.http.hooks import require_login
from swiper.http.pages import PageIn, page_of, page_schema
from swiper.http.view_marks import changing_get, doc, link
from swiper.logs import SecurityEvent, record_event, refusals_recorded
from swiper.profiles import accounts, exports, profiles
from swiper.profiles.export_schemas import ExportOut
from swiper.sms.phone_numbers import describe_number
from swiper.tasks.queue import enqueue_batched

R = TypeVar("R")

blueprint = Blueprint("auth", __name__, url_prefix="/api/user", tag="User")
# Suspended people may end their sessions, and export or delete what is theirs.
blueprint.before_request(
    require_login(
        whitelist=("verify", "verify_by_get", "login"),
        for_suspended=("logout", "show_sessions", "end_session", "export", "export_by_post", "delete_account"),
    )
)

LOGIN_REFUSALS: dict[type[ApiError], SecurityEvent] = {
    CodeError: SecurityEvent.GUESS_FAILED,
    RateLimitedError: SecurityEvent.LOCKED_OUT,
    BannedError: SecurityEvent.LOGIN_REFUSED,
}
CODE_REFUSALS: dict[type[ApiError], SecurityEvent] = {RateLimitedError: SecurityEvent.CODE_REFUSED}
CHALLENGE_COOKIE, DEVICE_COOKIE, COOKIE_PATH = "swiper_challenge", "swiper_device", "/api/user"


def _send_code(wanted: dict[str, str]) -> dict[str, Any]:
    with refusals_recorded(CODE_REFUSALS, lambda: describe_number(wanted["phonenum"])):
        issued = codes.issue_code(
            wanted["phonenum"],
            request.remote_addr or "",
            challenge=_challenge(wanted),
            devices=request.cookies.get(DEVICE_COOKIE, ""),
            proof=wanted.get("altcha", ""),
        )
    if issued.outbox_id is not None:
        enqueue_batched(tasks.send_code, tasks.send_codes, issued.outbox_id)
    _set_cookie(CHALLENGE_COOKIE, issued.challenge, issued.expires_in)
    return ok(issued)


def _challenge(given: dict[str, str]) -> str:
    return given.get("challenge") or request.cookies.get(CHALLENGE_COOKIE, "")


def _set_cookie(name: str, value: str, seconds: int) -> None:
    is_secure = current_app.config["SESSION_COOKIE_SECURE"]

    @after_this_request
    def set_cookie(response: Response) -> Response:
        response.set_cookie(
            name, value, max_age=seconds, path=COOKIE_PATH, secure=is_secure, httponly=True, samesite="Lax"
        )
        return response


def _remember_device(phone: str) -> None:
    devices = remember_device(request.cookies.get(DEVICE_COOKIE, ""), phone)
    if devices:
        _set_cookie(DEVICE_COOKIE, devices, VALID_SECONDS)


@blueprint.post("/verify")
@doc(refusals=(429,))
@blueprint.input(schemas.VerifyIn, location="json_or_form", arg_name="wanted")
@blueprint.output(schemas.VerifyOut)
def verify(wanted: dict[str, str]) -> dict[str, Any]:
    """Send a 6-digit login code to a phone; the answer does not wait for the SMS."""
    return _send_code(wanted)


def _by_get(view: Callable[..., Any]) -> Callable[..., Any]:
    """Serve GET where VERIFY_BY_GET allows it; HEAD, which asks for no action, never sends an SMS."""

    @functools.wraps(view)
    def serve(**kwargs: Any) -> Any:
        is_on = current_app.config["VERIFY_BY_GET"]
        if not is_on or request.method == "HEAD":
            allow = "GET, OPTIONS, POST" if is_on else "OPTIONS, POST"
            raise NotFoundError("This method is not allowed here.", status=405, headers={"Allow": allow})
        return view(**kwargs)

    return serve


@blueprint.get("/verify")
@doc(refusals=(429,), needs_setting="VERIFY_BY_GET")
@changing_get
@_by_get
@blueprint.input(schemas.VerifyIn, location="query", arg_name="wanted")
@blueprint.output(schemas.VerifyOut)
def verify_by_get(wanted: dict[str, str]) -> dict[str, Any]:
    """The same for the first clients, which ask by GET."""
    return _send_code(wanted)


@blueprint.post("/login")
@doc(refusals=(429,))
@blueprint.input(schemas.LoginIn, location="json_or_form", arg_name="given")
@blueprint.output(schemas.LoginOut)
def login(given: dict[str, Any]) -> dict[str, Any]:
    """Log in with the code; the first login makes the account.

    Browsers get a cookie. Native apps ask with `bearer=true` for the session itself, and send it as
    `Authorization: Bearer`; a request with that header is never logged in by a cookie.
    """

    def open_session(account: profiles.Account) -> dict[str, Any]:
        own = profiles.own_view(account)
        device = describe_device(request.headers.get("User-Agent", ""))
        # Whatever fails does so before this: an answer that is an error would bring its session with it.
        session.is_bearer = session.is_bearer or given["bearer"]  # type: ignore[attr-defined]
        sessions.start_session(session, account.id, device, request.remote_addr or "")
        record_event(SecurityEvent.LOGIN, uid=account.id)
        if not session.is_bearer:  # type: ignore[attr-defined]
            _remember_device(account.phone)
        return ok(own | ({"session": session.sid} if session.is_bearer else {}))  # type: ignore[attr-defined]

    with refusals_recorded(LOGIN_REFUSALS, lambda: describe_number(given["phonenum"])):
        count_guess(request.remote_addr or "")
        try:
            return log_in(given["phonenum"], given["vcode"], open_session, _challenge(given))
        except BannedError as error:
            if session.is_bearer:  # type: ignore[attr-defined]
                error.data["session"] = session.sid  # type: ignore[attr-defined]
            raise


@blueprint.post("/logout")
@blueprint.input(schemas.LogoutIn, location="json_or_form", arg_name="wanted")
@blueprint.output({}, status_code=200)
def logout(wanted: dict[str, bool]) -> dict[str, Any]:
    """End this session, or with `all=true` every session of the caller."""
    if wanted["all"]:
        session_list.end_all_sessions(g.uid, session)
        record_event(SecurityEvent.LOGGED_OUT_EVERYWHERE, uid=g.uid)
    else:
        session_list.end_session(session, g.uid)
    return ok({})


@blueprint.get("/sessions")
@doc(links=(link("end_session", parameters={"session_id": "/data/items/0/id"}),))
@blueprint.input(PageIn, location="query", arg_name="wanted")
@blueprint.output(page_schema("SessionPage", schemas.SessionOut))
def show_sessions(wanted: dict[str, int]) -> dict[str, Any]:
    """Where the caller is logged in: the current session, then the others, the last used first."""
    page, per_page = wanted["page"], wanted["per_page"]
    found = session_list.list_sessions(g.uid, session.sid)  # type: ignore[attr-defined]
    shown = found[(page - 1) * per_page : page * per_page]
    return ok(page_of(shown, len(found), page, per_page))


@blueprint.delete("/sessions/<session_id>")
@doc(path_schemas={"session_id": {"pattern": "^[0-9a-f]{32}$"}})
@blueprint.output({}, status_code=200)
def end_session(session_id: str) -> dict[str, Any]:
    """End one of the caller's own sessions at once."""
    found = session_list.find_session(g.uid, session_id)
    if found == session.sid:  # type: ignore[attr-defined]
        session_list.end_session(session, g.uid)
    else:
        session_list.end_session_by_id(g.uid, found)
    return ok({})


def _confirmed(code: str, act: Callable[[], R]) -> R:
    """What `act` returns, after a fresh code of the caller's own number, which is asked for like the one to log in.

    Without `code` the header `X-Confirm-Code` counts. Raises what `confirm` does, and RateLimitedError for too many
    guesses.
    """
    code = code or request.headers.get("X-Confirm-Code", "")[:64]
    with refusals_recorded(LOGIN_REFUSALS, lambda: {"uid": g.uid}):
        if code:
            count_guess(request.remote_addr or "")
        return confirm(g.account.phone, code, act, _challenge({}))


def _export(code: str) -> Any:
    pieces = _confirmed(code, lambda: exports.begin_export(g.uid))
    if current_app.debug:
        return jsonify(msgspec.json.decode(b"".join(pieces)))
    return Response(stream_with_context(pieces), mimetype="application/json")


@blueprint.get("/export")
@doc(parameters=(schemas.CONFIRM_CODE,), refusals=(400, 429))
@blueprint.output(ExportOut)
def export() -> Any:
    """Everything the service holds on the caller; the header `X-Confirm-Code` carries a fresh code."""
    return _export("")


@blueprint.post("/export")
@doc(parameters=(schemas.CONFIRM_CODE,), refusals=(429,))
@blueprint.input(schemas.ConfirmIn, location="json_or_form", arg_name="given")
@blueprint.output(ExportOut)
def export_by_post(given: dict[str, str]) -> Any:
    """The same, with the code in the body."""
    return _export(given["vcode"])


@blueprint.delete("/account")
@doc(parameters=(schemas.CONFIRM_CODE,), refusals=(429,))
@blueprint.input(schemas.ConfirmIn, location="json_or_form", arg_name="given")
@blueprint.output({}, status_code=200)
def delete_account(given: dict[str, str]) -> dict[str, Any]:
    """Delete the caller's account and everything that belongs to it, at once and for good. Needs a fresh code."""
    uid = g.uid
    _confirmed(given["vcode"], lambda: accounts.delete_account(uid))
    record_event(SecurityEvent.ACCOUNT_DELETED, uid=uid)
    # All sessions end with the account; this takes the cookie back.
    session.clear()
    return ok({})
