"""What is done to the headers of every request and every answer, outside of Flask."""

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
    # Pictures are chosen by file inputs, which need no permission.
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob: https:; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'"
    ),
}
TLS_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}
PRIVATE_HEADERS = {"Cache-Control": "no-store"}
# Pages of CORS_ORIGINS show these pictures by plain <img>.
PICTURE_PATHS = ("/media/", "/portraits/")
SHARED_HEADERS = {"Cross-Origin-Resource-Policy": "cross-origin"}


# Answers have few sets of headers, and none is of a client's choosing.
@functools.lru_cache(maxsize=500)
def _strict_headers(is_tls: bool, is_private: bool, is_shared: bool, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Those that an answer lacks that has `names`.

    `is_private`: it may hold data of its caller. `is_shared`: pages of other origins may show it.
    """
    strict = SECURITY_HEADERS | (TLS_HEADERS if is_tls else {}) | (PRIVATE_HEADERS if is_private else {})
    strict |= SHARED_HEADERS if is_shared else {}
    present = {name.lower() for name in names}
    return [(name, value) for name, value in strict.items() if name.lower() not in present]


class StrictHeaders:
    """Adds the strict headers to every answer. Personal answers get `no-store` unless the view says otherwise.

    Here they are a few tuples more in a list; as an after_request hook they cost as much as a view.
    """

    def __init__(self, wsgi_app: Callable[..., Any], personal_paths: tuple[str, ...], *, shares_pictures: bool) -> None:
        """`personal_paths`: how the paths of personal answers begin. `shares_pictures`: to pages of other origins."""
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


def bearer_token(environ: Mapping[str, Any]) -> str | None:
    """What a request says after `Authorization: Bearer`; None where it does not use that scheme."""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
