"""The log of security events. The forms of all log lines are in `config/log_formats.py`.

A line of the security log is a JSON object in a stable format for other programs. It has `time` (ISO 8601, UTC),
`event`, `request_id` and `address` (of the client; `-` for commands and tasks), and if they are known `uid` (a string),
`phone` (masked) and `endpoint`. Names and meanings never change, but new ones may be added. `docs/security-log.md`
lists the events.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from config.log_formats import MaskingFormatter, mask, request_id_var

__all__ = [
    "LOGGER",
    "MaskingFormatter",
    "SecurityEvent",
    "address_var",
    "mask",
    "record_event",
    "refusals_recorded",
    "request_id_var",
]

LOGGER = "swiper.security"
security_log = logging.getLogger(LOGGER)
E = TypeVar("E", bound=Exception)
_encode = msgspec.json.Encoder().encode

address_var: ContextVar[str] = ContextVar("address", default="-")


class SecurityEvent(StrEnum):
    """The events. `docs/security-log.md` says when each is logged."""

    LOGIN = "login"
    LOGIN_REFUSED = "login_refused"
    GUESS_FAILED = "guess_failed"
    LOCKED_OUT = "locked_out"
    CODE_REFUSED = "code_refused"
    LOGGED_OUT_EVERYWHERE = "logged_out_everywhere"
    ACCOUNT_DELETED = "account_deleted"
    CROSS_SITE_REFUSED = "cross_site_refused"
    DESK_REFUSED = "desk_refused"
    DESK_OPENED = "desk_opened"
    SECOND_FACTOR_FAILED = "second_factor_failed"


def record_event(event: SecurityEvent, *, uid: int | None = None, phone: str = "", endpoint: str | None = None) -> None:
    """Write one line. `phone` is any text that contains a number; it is masked."""
    line: dict[str, Any] = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "event": event.value,
        "request_id": request_id_var.get(),
        "address": address_var.get(),
    }
    if uid is not None:
        line["uid"] = str(uid)
    if phone:
        line["phone"] = mask(phone)
    if endpoint:
        line["endpoint"] = endpoint
    security_log.info("%s", _encode(line).decode())


@contextmanager
def refusals_recorded(events: Mapping[type[E], SecurityEvent], facts: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """Write a line with `facts()` if the block raises an error of a class in `events`, and raise the error again."""
    try:
        yield
    except tuple(events) as error:
        record_event(events[type(error)], **facts())
        raise
