"""Middleware for the headers of all requests and responses, and the reader of bearer tokens."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

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


def bearer_token(environ: Mapping[str, Any]) -> str | None:
    """Return what follows `Authorization: Bearer`, or None if the request does not use that scheme."""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
