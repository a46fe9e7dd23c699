"""What happens around every view, in this order; each hook may answer and so end the request.

1. `open_request`        on the app: request id, log context, limit of the body
2. `refuse_banned`       on the app: IP bans, before anyone looks at a login
3. `answer_preflight`    on the app: CORS preflight, and requests from foreign pages
4. `require_login`       on each of the blueprints auth, profiles, social and vip, with the blueprint's own whitelist
5. the view's permission, as a decorator beside the view

After the view the order is reversed: CORS headers, then the request id. Strict headers are added outside of all.
"""

import functools
import random
import re
from collections.abc import Callable
from typing import Any

from apiflask import APIBlueprint
from flask import Flask, Request, Response, current_app, request
from flask.globals import request_ctx

from config.settings import normal_origin
from swiper.auth import routes as auth_routes
from swiper.auth.sessions import UnreachableSession, bearer_token
from swiper.bans.services import is_banned
from swiper.errors import BannedError, CrossSiteError, LoginError, UnavailableError
from swiper.extensions import db, this_app, this_g, this_request
from swiper.http.bodies import ApiRequest, check_count, has_body
from swiper.http.headers import SECURITY_HEADERS, StrictHeaders, UnquotedForwarding
from swiper.http.schemas import refuse_fields
from swiper.http.security_log import SecurityEvent, record_event
from swiper.logs import address_var, request_id_var
from swiper.profiles import profiles
from swiper.profiles import routes as profiles_routes
from swiper.profiles.accounts import suspension_error
from swiper.profiles.models import Status
from swiper.social import routes as social_routes
from swiper.vip import routes as vip_routes

__all__ = ["SECURITY_HEADERS", "guard_bodies", "init_app"]

SMALL_BODY_BYTES = 64 * 1024
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# A GET of the first clients that sends an SMS, and so must not be started by a foreign page either.
CHANGING_GETS = frozenset({"auth.verify_by_get"})
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
# These read the body by themselves, whatever its kind; the desk checks it with the form's token.
RAW_BODIES = frozenset({"vip.receive_payment"})


def open_request() -> None:
    """Give the request an id, taken over from a trusted proxy or made here, and show it on each log line.

    Only uploads may be large; nothing else is worth reading, let alone parsing, beyond `SMALL_BODY_BYTES`. A query is
    counted before it is parsed.
    """
    own = this_request()
    environ = own.environ
    offered = environ.get("HTTP_X_REQUEST_ID", "") if this_app().config["TRUSTED_PROXIES"] else ""
    request_id = offered if offered and REQUEST_ID.fullmatch(offered) else f"{random.getrandbits(64):016x}"
    this_g().request_id = request_id
    request_id_var.set(request_id)
    address_var.set(own.remote_addr or "-")
    if not getattr(this_app().view_functions.get(own.endpoint or ""), "reads_files", False):
        own.max_content_length = SMALL_BODY_BYTES
    check_count(environ.get("QUERY_STRING", "").count("&") + 1)


def refuse_banned() -> None:
    """Refuse a banned address, health checks excepted: the load balancer asks those."""
    own = this_request()
    if own.path not in ("/healthz", "/readyz") and is_banned(own.remote_addr or ""):
        raise BannedError()
    _give_back_connection()


def _give_back_connection() -> None:
    """What comes next may be a body that takes its time or the decoding of a picture; others need the connection.

    Where nothing was read from the database there is none.
    """
    if db.has_session():
        db.session.rollback()


def answer_preflight() -> Response | None:
    """Answer a browser's preflight, and refuse changes that a page of an unknown origin asks for."""
    own = this_request()
    origin = own.environ.get("HTTP_ORIGIN")
    if own.method == "OPTIONS" and origin and "Access-Control-Request-Method" in own.headers:
        return Response(status=204)
    if own.method in SAFE_METHODS and own.endpoint not in CHANGING_GETS:
        return None
    # No page of another origin can send this header without a preflight, and with it no cookie counts.
    if bearer_token(own.environ) is not None:
        return None
    if own.endpoint != "vip.receive_payment" and _is_foreign(own, origin):
        record_event(SecurityEvent.CROSS_SITE_REFUSED, endpoint=own.endpoint)
        raise CrossSiteError()
    return None


def _is_foreign(own: Request, origin: str | None) -> bool:
    """True when a page of another origin sent the request, by the best witness that its browser has left.

    A browser without any of the three is too old, or is none: programs are not led astray by pages.
    """
    if origin is not None:
        return not _is_ours(own, origin)
    environ = own.environ
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site not in ("same-origin", "none")
    referrer = environ.get("HTTP_REFERER")
    return bool(referrer) and not _is_ours(own, "/".join(str(referrer).split("/", 3)[:3]))


def _is_ours(own: Request, origin: str) -> bool:
    # Not parsed any further: urlsplit raises for hosts that are none, and a browser writes nothing after the host.
    scheme, _, host = normal_origin(origin).partition("://")
    # A proxy that ends TLS may not tell us; but where we are known to speak it, a page without it may be anybody's.
    is_own = scheme in (own.scheme, "https") and f"{scheme}://{host}" == normal_origin(f"{scheme}://{own.host}")
    return is_own or f"{scheme}://{host}" in current_app.config["CORS_ORIGINS"]


def require_login(whitelist: frozenset[str], for_suspended: frozenset[str]) -> Callable[[], None]:
    """The hook of one blueprint: load the caller's account, unless the view is on the blueprint's whitelist.

    Suspended people are refused, but for the views in `for_suspended`.
    """

    def check() -> None:
        own = this_request()
        endpoint = (own.endpoint or "").rpartition(".")[2]
        if endpoint in whitelist or own.method == "OPTIONS":
            return
        caller: Any = request_ctx.session
        # A session is a mapping, and for those isinstance walks through more than its class.
        if type(caller) is UnreachableSession:
            raise UnavailableError()
        uid = caller.get("uid")
        account = profiles.find_account(uid) if uid else None
        if account is None:
            raise LoginError()
        if account.status is not Status.ACTIVE and endpoint not in for_suspended:
            raise suspension_error(account.id)
        kept = this_g()
        kept.uid, kept.account, kept.vip_status = account.id, account, account.vip_status
        _give_back_connection()

    # The guard test looks for this mark on every blueprint.
    check.login_whitelist = whitelist  # type: ignore[attr-defined]
    return check


def add_request_id(response: Response) -> Response:
    """Tell the caller the id to quote in a complaint."""
    response.headers.add("X-Request-Id", this_g().get("request_id", "-"))
    return response


def add_cors_headers(response: Response) -> Response:
    """Let pages of the configured origins read the answer, but for the operator's desk, which is for its own pages."""
    origins = this_app().config["CORS_ORIGINS"]
    if not origins or request.blueprint == "admin":
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin", "")
    if normal_origin(origin) in origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = "X-Request-Id, Retry-After, ETag"
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
            response.headers["Access-Control-Allow-Headers"] = (
                "Authorization, Content-Type, X-Confirm-Code, X-Request-Id"
            )
            response.headers["Access-Control-Max-Age"] = "600"
    return response


BEFORE_REQUEST = (open_request, refuse_banned, answer_preflight)
# Flask runs these from the last to the first.
AFTER_REQUEST = (add_request_id, add_cors_headers)
# Of each blueprint: the views that need no login, and those that suspended people may use.
LOGIN_POLICIES: tuple[tuple[APIBlueprint, frozenset[str], frozenset[str]], ...] = (
    (auth_routes.blueprint, auth_routes.LOGIN_WHITELIST, auth_routes.SUSPENDED_WHITELIST),
    (profiles_routes.blueprint, profiles_routes.LOGIN_WHITELIST, frozenset()),
    (social_routes.blueprint, social_routes.LOGIN_WHITELIST, frozenset()),
    (vip_routes.blueprint, vip_routes.LOGIN_WHITELIST, frozenset()),
)

# A blueprint takes its hooks once, before it is registered on the first application.
for _blueprint, _whitelist, _for_suspended in LOGIN_POLICIES:
    _blueprint.before_request(require_login(_whitelist, _for_suspended))


def guard_bodies(app: Flask) -> None:
    """Let the views that take nothing refuse a body instead of ignoring it. Comes after all blueprints."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        reads_body = (
            getattr(view, "reads_body", False) or rule.endpoint in RAW_BODIES or rule.endpoint.startswith("admin.")
        )
        if not reads_body and not (rule.methods or set()) <= SAFE_METHODS:
            app.view_functions[rule.endpoint] = _without_body(view)


def _without_body(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    def serve(**kwargs: Any) -> Any:
        own = this_request()
        if own.method not in SAFE_METHODS and has_body(own):
            refuse_fields(own)
        return view(**kwargs)

    serve.reads_body = True  # type: ignore[attr-defined]
    return serve


def init_app(app: Flask) -> None:
    """Put the hooks onto the application in their order."""
    app.wsgi_app = UnquotedForwarding(StrictHeaders(app.wsgi_app, bool(app.config["CORS_ORIGINS"])))  # type: ignore[method-assign]
    app.request_class = ApiRequest
    # Werkzeug would send paths with `//` elsewhere, by an address made of the Host header: no route redirects.
    app.url_map.merge_slashes = False
    for before in BEFORE_REQUEST:
        app.before_request(before)
    for after in AFTER_REQUEST:
        app.after_request(after)
