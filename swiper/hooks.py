"""What happens around every view, in this order; each hook may answer and so end the request.

1. `open_request`        on the app: request id, log context, limit of the body
2. `refuse_banned`       on the app: IP bans, before anyone looks at a login
3. `answer_preflight`    on the app: CORS preflight, and requests from foreign pages
4. `require_login`       on each of the blueprints auth, social and vip, with the blueprint's own whitelist
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

from swiper.auth import profiles
from swiper.auth import routes as auth_routes
from swiper.auth.models import Status
from swiper.auth.sessions import PERSONAL_PATHS, UnreachableSession, bearer_token
from swiper.bans.services import is_banned
from swiper.errors import BannedError, CrossSiteError, LoginError, UnavailableError
from swiper.extensions import db, this_app, this_context, this_g, this_request
from swiper.logs import address_var, request_id_var
from swiper.security_log import SecurityEvent, record_event
from swiper.social import routes as social_routes
from swiper.vip import routes as vip_routes

SMALL_BODY_BYTES = 64 * 1024
FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# A GET of the first clients that sends an SMS, and so must not be started by a foreign page either.
CHANGING_GETS = frozenset({"auth.verify_by_get"})
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob: https:; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'"
    ),
}
TLS_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}
PRIVATE_HEADERS = {"Cache-Control": "no-store"}


# Answers have few sets of headers, and none is of a client's choosing.
@functools.lru_cache(maxsize=500)
def _strict_headers(is_tls: bool, is_private: bool, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Those that an answer lacks that has `names`; `is_private` says that it may know its caller."""
    strict = SECURITY_HEADERS | (TLS_HEADERS if is_tls else {}) | (PRIVATE_HEADERS if is_private else {})
    present = {name.lower() for name in names}
    return [(name, value) for name, value in strict.items() if name.lower() not in present]


class StrictHeaders:
    """Adds the strict headers to every answer; nobody keeps any that may know its caller, unless the view says so.

    Here they are a few tuples more in a list; as an after_request hook they cost as much as a view.
    """

    def __init__(self, wsgi_app: Callable[..., Any]) -> None:
        self.wsgi_app = wsgi_app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """See PEP 3333."""

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            is_private = environ["PATH_INFO"].startswith(PERSONAL_PATHS)
            names = tuple([name for name, _ in headers])
            headers += _strict_headers(environ["wsgi.url_scheme"] == "https", is_private, names)
            return start_response(status, headers, *exc_info)

        return self.wsgi_app(environ, start)


class UnquotedForwarding:
    """Takes the quotation marks out of the headers that trusted proxies write, before ProxyFix counts in them.

    ProxyFix reads a quoted list, and not one entry of a list with a mark left open: before a proxy that appends to what
    the client sent, one mark from the client would hide the address that the proxy adds. Proxies never write any.
    """

    def __init__(self, wsgi_app: Callable[..., Any]) -> None:
        self.wsgi_app = wsgi_app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """See PEP 3333."""
        for name in FORWARDED:
            if name in environ:
                environ[name] = environ[name].replace('"', "")
        return self.wsgi_app(environ, start_response)


def open_request() -> None:
    """Give the request an id, taken over from a trusted proxy or made here, and show it on each log line.

    Only uploads may be large; nothing else is worth reading, let alone parsing, beyond `SMALL_BODY_BYTES`.
    """
    own = this_request()
    environ = own.environ
    offered = environ.get("HTTP_X_REQUEST_ID", "") if this_app().config["TRUSTED_PROXIES"] else ""
    request_id = offered if offered and REQUEST_ID.fullmatch(offered) else f"{random.getrandbits(64):016x}"
    this_g().request_id = request_id
    request_id_var.set(request_id)
    address_var.set(own.remote_addr or "-")
    # `request.mimetype` parses more of the header than its first word.
    kind = environ.get("CONTENT_TYPE")
    if not kind or kind.partition(";")[0].strip().lower() != "multipart/form-data":
        own.max_content_length = SMALL_BODY_BYTES


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
    scheme, _, host = origin.partition("://")
    # A proxy that ends TLS may not tell us; but where we are known to speak it, a page without it may be anybody's.
    is_own = host == own.host and scheme in (own.scheme, "https")
    return is_own or origin in current_app.config["CORS_ORIGINS"]


def require_login(whitelist: frozenset[str]) -> Callable[[], None]:
    """The hook of one blueprint: load the caller's account, unless the view is on the blueprint's whitelist."""

    def check() -> None:
        ctx = this_context()
        if (ctx.request.endpoint or "").rpartition(".")[2] in whitelist or ctx.request.method == "OPTIONS":
            return
        caller: Any = ctx.session
        # A session is a mapping, and for those isinstance walks through more than its class.
        if type(caller) is UnreachableSession:
            raise UnavailableError()
        uid = caller.get("uid")
        account = profiles.find_account(uid) if uid else None
        if account is None:
            raise LoginError()
        if account.status is not Status.ACTIVE:
            raise BannedError()
        kept = this_g()
        kept.uid, kept.account, kept.standing = account.id, account, account.standing
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
    if not origins or request.blueprint == "desk":
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin in origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = "X-Request-Id, Retry-After, ETag"
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, X-Request-Id"
            response.headers["Access-Control-Max-Age"] = "600"
    return response


BEFORE_REQUEST = (open_request, refuse_banned, answer_preflight)
# Flask runs these from the last to the first.
AFTER_REQUEST = (add_request_id, add_cors_headers)
LOGIN_POLICIES: tuple[tuple[APIBlueprint, frozenset[str]], ...] = (
    (auth_routes.blueprint, auth_routes.LOGIN_WHITELIST),
    (social_routes.blueprint, social_routes.LOGIN_WHITELIST),
    (vip_routes.blueprint, vip_routes.LOGIN_WHITELIST),
)

# A blueprint takes its hooks once, before it is registered on the first application.
for _blueprint, _whitelist in LOGIN_POLICIES:
    _blueprint.before_request(require_login(_whitelist))


def init_app(app: Flask) -> None:
    """Put the hooks onto the application in their order."""
    app.wsgi_app = UnquotedForwarding(StrictHeaders(app.wsgi_app))  # type: ignore[method-assign]
    # Werkzeug would send paths with `//` elsewhere, by an address made of the Host header: no route redirects.
    app.url_map.merge_slashes = False
    for before in BEFORE_REQUEST:
        app.before_request(before)
    for after in AFTER_REQUEST:
        app.after_request(after)
