"""The middleware and the hooks that depend on no feature. `swiper/hooks.py` lists all hooks in their order."""

import functools
import random
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import Flask, Request, Response, current_app, request

from config.urls import normal_origin
from swiper.errors import CrossSiteError
from swiper.extensions import this_app, this_g, this_request
from swiper.http.blueprints import SameOriginBlueprint
from swiper.http.bodies import check_count, has_body
from swiper.http.schemas import refuse_fields
from swiper.logs import SecurityEvent, address_var, record_event, request_id_var

SMALL_BODY_BYTES = 64 * 1024
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # People choose pictures with file inputs, which need no permission.
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob: https:; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'"
    ),
}
TLS_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}
PRIVATE_HEADERS = {"Cache-Control": "no-store"}
# Pages of CORS_ORIGINS show these pictures with <img>.
PICTURE_PATHS = ("/media/", "/portraits/")
SHARED_HEADERS = {"Cross-Origin-Resource-Policy": "cross-origin"}


def bearer_token(environ: Mapping[str, Any]) -> str | None:
    """Return what follows `Authorization: Bearer`, or None if the request does not use that scheme."""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def call_directly(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return `func`. Flask calls this for each hook and view, to wrap those that are async; here none is."""
    return func


def open_request() -> None:
    """Set the request's id, which each log line shows; a trusted proxy may send it.

    Limit the body to `SMALL_BODY_BYTES` unless the view takes uploads. Raises ParamError for a query with too many
    fields.
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


def answer_preflight() -> Response | None:
    """Answer a CORS preflight. Raises CrossSiteError for a change that a page of an unknown origin requests."""
    own = this_request()
    origin = own.environ.get("HTTP_ORIGIN")
    if own.method == "OPTIONS" and origin and "Access-Control-Request-Method" in own.headers:
        return Response(status=204)
    view = this_app().view_functions.get(own.endpoint or "")
    if own.method in SAFE_METHODS and not getattr(view, "is_changing_get", False):
        return None
    # A page of another origin needs a preflight to send this header, and with this header no cookie counts.
    if bearer_token(own.environ) is not None:
        return None
    if not getattr(view, "is_webhook", False) and _is_foreign(own, origin):
        record_event(SecurityEvent.CROSS_SITE_REFUSED, endpoint=own.endpoint)
        raise CrossSiteError()
    return None


def _is_foreign(own: Request, origin: str | None) -> bool:
    """True if a page of another origin sent the request, according to the first header that the browser sent.

    The headers are Origin, Sec-Fetch-Site and Referer. A client that sends none of them is an old browser or a program,
    and no page can make a program send a request.
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
    # Compared as text, because urlsplit raises for malformed hosts. A browser writes nothing after the host.
    scheme, _, host = normal_origin(origin).partition("://")
    # A proxy that ends TLS may not tell us, so https is ours too. Over TLS an http page may be anybody's.
    is_own = scheme in (own.scheme, "https") and f"{scheme}://{host}" == normal_origin(f"{scheme}://{own.host}")
    return is_own or f"{scheme}://{host}" in current_app.config["CORS_ORIGINS"]


def require_login(whitelist: Iterable[str] = (), for_suspended: Iterable[str] = ()) -> Callable[[], None]:
    """Make the login hook of one blueprint: its views need a login, except those in `whitelist`.

    Suspended people may use only the views in `for_suspended`. `app.extensions["authenticate"]` loads the caller's
    account; it takes whether suspended people may use the view, and raises for a caller who may not.
    """
    public, open_to_suspended = frozenset(whitelist), frozenset(for_suspended)

    def check() -> None:
        own = this_request()
        endpoint = (own.endpoint or "").rpartition(".")[2]
        if endpoint not in public and own.method != "OPTIONS":
            this_app().extensions["authenticate"](endpoint in open_to_suspended)

    # `public_endpoints` and the guard test read it.
    check.login_whitelist = public  # type: ignore[attr-defined]
    return check


def public_endpoints(app: Flask) -> set[str]:
    """The endpoints that need no login, from the whitelists of all blueprints."""
    return {
        f"{name}.{view}"
        for name, hooks in app.before_request_funcs.items()
        for hook in hooks
        for view in getattr(hook, "login_whitelist", ())
    }


def add_request_id(response: Response) -> Response:
    """Send the request's id, so that the caller can quote it in a report."""
    response.headers.add("X-Request-Id", this_g().get("request_id", "-"))
    return response


def add_cors_headers(response: Response) -> Response:
    """Let pages of CORS_ORIGINS read the response, except responses of a SameOriginBlueprint."""
    origins = this_app().config["CORS_ORIGINS"]
    if not origins or _is_same_origin(this_app(), request.endpoint):
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


def _is_same_origin(app: Flask, endpoint: str | None) -> bool:
    return isinstance(app.blueprints.get((endpoint or "").rpartition(".")[0]), SameOriginBlueprint)


def guard_bodies(app: Flask) -> None:
    """Make views without input refuse a body. Call it after all blueprints are registered."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        reads_body = getattr(view, "reads_body", False) or _is_same_origin(app, rule.endpoint)
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


# Responses have few different sets of headers, and clients cannot add to them.
@functools.lru_cache(maxsize=500)
def _strict_headers(is_tls: bool, is_private: bool, is_shared: bool, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the strict headers that are missing from a response with the headers `names`.

    `is_private`: the response may hold personal data. `is_shared`: pages of other origins may show it.
    """
    strict = SECURITY_HEADERS | (TLS_HEADERS if is_tls else {}) | (PRIVATE_HEADERS if is_private else {})
    strict |= SHARED_HEADERS if is_shared else {}
    present = {name.lower() for name in names}
    return [(name, value) for name, value in strict.items() if name.lower() not in present]


class StrictHeaders:
    """Adds the strict headers to every response. Personal ones get `no-store` unless the view sets Cache-Control.

    As WSGI middleware this appends a few tuples to a list; as an after_request hook it cost as much as a view.
    """

    def __init__(self, wsgi_app: Callable[..., Any], personal_paths: tuple[str, ...], *, shares_pictures: bool) -> None:
        """`personal_paths`: prefixes of paths with personal data. `shares_pictures`: other origins may show ours."""
        self.wsgi_app = wsgi_app
        self.personal_paths = personal_paths
        self.shared_paths = PICTURE_PATHS if shares_pictures else ()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """See PEP 3333."""

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            path = environ["PATH_INFO"]
            is_private, is_shared = path.startswith(self.personal_paths), path.startswith(self.shared_paths)
            names = tuple([name for name, _ in headers])
            headers += _strict_headers(environ["wsgi.url_scheme"] == "https", is_private, is_shared, names)
            return start_response(status, headers, *exc_info)

        return self.wsgi_app(environ, start)


class UnquotedForwarding:
    """Removes quotation marks from the X-Forwarded headers, before ProxyFix parses them.

    ProxyFix parses a quoted list, and finds no entry in a list with an unclosed quotation mark. Behind a proxy that
    appends to the client's header, one mark from the client would hide the address that the proxy adds. Proxies write
    no quotation marks.
    """

    def __init__(self, wsgi_app: Callable[..., Any]) -> None:
        self.wsgi_app = wsgi_app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """See PEP 3333."""
        for name in FORWARDED:
            if name in environ:
                environ[name] = environ[name].replace('"', "")
        return self.wsgi_app(environ, start_response)
