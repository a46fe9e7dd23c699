"""Build the response to every error: an envelope of `code`, `data`, `message` and possibly `errors`."""

import logging
import time
from typing import Any, cast

from apiflask.exceptions import HTTPError
from flask import Flask, Response, current_app, jsonify, request
from flask_limiter import RateLimitExceeded
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import ClientDisconnected, HTTPException, InternalServerError, RequestEntityTooLarge

from swiper.errors import ApiError, InternalError, NotFoundError, ParamError, RateLimitedError, UnavailableError
from swiper.extensions import limiter, this_request
from swiper.http.bodies import ApiRequest
from swiper.http.messages import translate
from swiper.outages import is_database_outage, is_redis_outage

log = logging.getLogger(__name__)

# Per field; a list of values could give one reason for each value.
MAX_REASONS = 10


def language() -> str:
    """Return the language of the response, `zh` or `en`, from the request's Accept-Language."""
    return cast(ApiRequest, this_request()).language


def error_response(error: ApiError) -> Response:
    """Return the response for `error`, in the caller's language."""
    body: dict[str, Any] = {
        "code": error.code,
        "data": error.data,
        "message": translate(error.message, language()),
    }
    if error.errors:
        # The client chose the name of an unknown field, so it may be invalid Unicode.
        body["errors"] = {
            str(field).encode(errors="replace").decode(): _reasons(reasons)[:MAX_REASONS]
            for field, reasons in error.errors.items()
        }
    response = jsonify(body)
    response.status_code = error.status
    response.headers.update(error.headers)
    return response


def _reasons(reasons: Any) -> list[str]:
    """Return marshmallow's nested reasons for one field as a list of translated sentences."""
    if isinstance(reasons, dict):
        return [text for part in reasons.values() for text in _reasons(part)]
    if isinstance(reasons, list):
        return [text for part in reasons for text in _reasons(part)]
    return [translate(str(reasons), language())]


def as_api_error(error: BaseException) -> ApiError:
    """Return any exception as an ApiError; an unexpected one becomes InternalError."""
    if isinstance(error, InternalServerError) and error.original_exception is not None:
        error = error.original_exception
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RateLimitExceeded):
        return _rate_limited()
    if isinstance(error, HTTPError | HTTPException):
        return _http_error(error)
    if is_outage(error):
        return UnavailableError()
    return InternalError()


def is_outage(error: BaseException) -> bool:
    """True if the database or Redis is unavailable; False if it refused a statement or command."""
    if isinstance(error, PoolTimeoutError) or is_redis_outage(error):
        return True
    if isinstance(error, DBAPIError):
        is_unusable = error.connection_invalidated or is_database_outage(error.orig)
        return is_unusable or isinstance(error, OperationalError | InterfaceError)
    return isinstance(error, ConnectionError | TimeoutError)


def in_short(error: BaseException) -> str:
    """Return the error's class and the database driver's error number, without text that may quote data."""
    original = getattr(error, "orig", None)
    number = getattr(original, "sqlstate", None) or next(iter(getattr(original, "args", ())), None)
    # PyMySQL's first argument is a number. That of other drivers is the whole message.
    is_number = isinstance(number, int) or number == getattr(original, "sqlstate", "")
    return f"{type(error).__name__} {number}" if is_number and number else type(error).__name__


def _rate_limited() -> RateLimitedError:
    window = limiter.current_limit
    return RateLimitedError(window.reset_at - time.time() if window else 60)


def _http_error(error: Any) -> ApiError:
    status = getattr(error, "status_code", None) or error.code
    if isinstance(error, RequestEntityTooLarge):
        return ParamError("The body is too large.", status=413)
    if isinstance(error, ClientDisconnected):
        return ParamError("The request body ended early.", status=400)
    if status == 404:
        return NotFoundError()
    if status == 405:
        allow = getattr(error, "valid_methods", None) or []
        headers = {"Allow": ", ".join(sorted(allow))} if allow else None
        return NotFoundError("This method is not allowed here.", status=405, headers=headers)
    return ParamError(status=status)


def explain(error: Exception) -> ApiError:
    """Return any exception as an ApiError, and log outages and faults of the server."""
    known = as_api_error(error)
    cause = getattr(error, "original_exception", None) or error
    if known.status == 503:
        log.warning("unavailable: %s", in_short(cause), exc_info=cause if current_app.debug else None)
    elif known.status >= 500:
        log.error("unexpected error in %s %s", request.method, request.path, exc_info=cause)
    return known


def init_app(app: Flask) -> None:
    """Register one handler that turns every exception into a response."""

    def handle(error: Exception) -> Response:
        return error_response(explain(error))

    # This replaces APIFlask's handlers for the two subclasses.
    for kind in (Exception, HTTPError, HTTPException):
        app.register_error_handler(kind, handle)
