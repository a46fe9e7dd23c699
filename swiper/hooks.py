"""The hooks around every view, in this order. A hook may return a response, which ends the request.

1. `open_request`        on the app: request id, log context, limit of the body
2. `refuse_banned`       on the app: IP bans, before the login is looked at
3. `answer_preflight`    on the app: CORS preflight, and requests from foreign pages
4. `require_login`       on each blueprint of the API, which declares its own whitelist beside its routes
5. the view's permission, as a decorator beside the view

After the view the order is reversed: CORS headers, then the request id. `StrictHeaders` is around all of them.
"""

from flask import Flask

from swiper.auth.hooks import authenticate
from swiper.auth.sessions import PERSONAL_PATHS
from swiper.bans.hooks import refuse_banned
from swiper.http.bodies import ApiRequest
from swiper.http.hooks import (
    StrictHeaders,
    UnquotedForwarding,
    add_cors_headers,
    add_request_id,
    answer_preflight,
    call_directly,
    open_request,
)

BEFORE_REQUEST = (open_request, refuse_banned, answer_preflight)
# Flask runs these from the last to the first.
AFTER_REQUEST = (add_request_id, add_cors_headers)


def init_app(app: Flask) -> None:
    """Register the hooks of the application in their order."""
    strict = StrictHeaders(app.wsgi_app, PERSONAL_PATHS, shares_pictures=bool(app.config["CORS_ORIGINS"]))
    app.wsgi_app = UnquotedForwarding(strict)  # type: ignore[method-assign]
    app.request_class = ApiRequest
    # Flask's own method asks each time whether the function is async.
    app.ensure_sync = call_directly  # type: ignore[method-assign]
    # Werkzeug would redirect paths with `//` to an address made of the Host header. No route may redirect.
    app.url_map.merge_slashes = False
    app.extensions["authenticate"] = authenticate
    for before in BEFORE_REQUEST:
        app.before_request(before)
    for after in AFTER_REQUEST:
        app.after_request(after)
