"""The errors that clients see, one class each, with code and HTTP status."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any


class ApiError(Exception):
    """An error that is sent to the client.

    `errors` maps a field to its reasons, `headers` are added to the response, `data` is the envelope's data.
    """

    code = 1005
    status = 422
    message = "A parameter is missing or wrong."

    def __init__(
        self,
        message: str | None = None,
        *,
        errors: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message or self.message)
        self.message = message or self.message
        self.errors = errors
        self.headers = dict(headers or {})
        self.data = data
        self.status = status or self.status


class CodeError(ApiError):
    """A wrong, expired, used or locked code. All four have the same response, which gives no hint for guesses."""

    code, status, message = 1000, 400, "The code is wrong, used or has expired."


class LoginError(ApiError):
    """The client is not logged in, or its session has ended."""

    code, status, message = 1001, 401, "Log in first."


class ProfileError(ApiError):
    """Profile data did not pass validation, or is not complete enough."""

    code, status, message = 1002, 422, "The profile data did not pass validation."


class FileMissingError(ApiError):
    """An upload without a file."""

    code, status, message = 1003, 400, "The request carries no file."


class PermissionDeniedError(ApiError):
    """The caller's VIP level lacks a permission."""

    code, status, message = 1004, 403, "Your VIP level lacks this permission."


class ParamError(ApiError):
    """Any other bad or missing parameter."""


class RateLimitedError(ApiError):
    """Too many requests, or a quota is used up. The response says when the client may try again."""

    code, status, message = 1006, 429, "Too many requests; try again later."

    def __init__(self, retry_after: float, message: str | None = None, reset_at: datetime | None = None) -> None:
        seconds = max(1, int(-(-retry_after // 1)))
        super().__init__(
            message,
            headers={"Retry-After": str(seconds)},
            data={"reset_at": reset_at.isoformat()} if reset_at else None,
        )
        self.retry_after = seconds


class NothingToRewindError(ApiError):
    """There is no last swipe, or it is older than the window."""

    code, status, message = 1007, 409, "There is nothing to rewind."


class AlreadySwipedError(ApiError):
    """A second, different swipe on the same person."""

    code, status, message = 1008, 409, "You have already swiped this person differently."


class NotFoundError(ApiError):
    """No such user, order, sale or route."""

    code, status, message = 1009, 404, "Not found."


class BannedError(ApiError):
    """The address is banned, or the account is suspended."""

    code, status, message = 1010, 403, "Access is refused."


class UnavailableError(ApiError):
    """Redis, the database or a provider is not available; nothing was changed."""

    code, status, message = 1011, 503, "The service is not available right now; nothing was changed."


class SoldOutError(ApiError):
    """The stock of the flash sale is used up."""

    code, status, message = 1012, 409, "Sold out."


class CrossSiteError(ApiError):
    """A page of another origin tried to change something with the visitor's cookie."""

    code, status, message = 1013, 403, "A page of another site may not do this."


class PaymentError(ApiError):
    """A payment notice with a wrong signature, amount, currency or order."""

    code, status, message = 1014, 400, "The payment notice was refused."


class UnsupportedBodyError(ApiError):
    """A body of a media type that the view does not take, or that does not match its media type."""

    code, status, message = 1015, 415, "This kind of request body is not supported here."


class ChallengeError(ApiError):
    """A proof of work is needed. The challenge is in `data`; the client sends its solution with the next request."""

    code, status, message = 1016, 403, "Solve the challenge and send its solution along."


class ConfirmError(ApiError):
    """The action needs a fresh login code, although the client is logged in."""

    code, status, message = 1017, 403, "Confirm this with a fresh code."


class InternalError(ApiError):
    """A fault of ours. The log has the details, the client gets one sentence."""

    code, status, message = 1500, 500, "Something went wrong on our side."
