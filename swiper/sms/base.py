"""The base class of SMS providers, in this package and outside. CONTRIBUTING.md shows how to add one.

The base class measures each call, and logs its result without the number and the code.
"""

import logging
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, final

log = logging.getLogger(__name__)

MAINLAND = "+86"
MAINLAND_MOBILE = re.compile(r"\+86(1[3-9][0-9]{9})")


class SmsError(Exception):
    """The provider refused the message, failed, or did not answer in time. The text never contains number or code."""


class SmsAwayError(SmsError):
    """The provider could not be reached or did not answer in time, so the next message would fail too."""


def read_wire(number: str) -> str | None:
    """Return the only phone (E.164) that `number` can mean to a provider, or None if it could mean several.

    A country code follows a plus or 00. Eleven digits without them are always a mainland mobile number, since
    +1 301 765 6088 without its plus looks like one.
    """
    if number.startswith("+"):
        phone = number
    elif number.startswith("00"):
        phone = "+" + number[2:]
    else:
        phone = MAINLAND + number
        return phone if MAINLAND_MOBILE.fullmatch(phone) else None
    return phone if re.fullmatch(r"\+[1-9][0-9]{4,14}", phone) else None


class SmsProvider(ABC):
    """Sends one login code. A subclass sets `name`, and implements `wire_number` and `try_send`.

    Each process builds one object at its start, and all threads share it. An error in `__init__` stops the start, and
    is shown to the operator.
    """

    # Logs, metrics and errors show it.
    name: str

    def __init__(self, config: Mapping[str, Any]) -> None:
        """`config` is the application's configuration, which has the settings of Swiper's own providers.

        A provider from outside has no settings there, and reads its own environment variables.
        """
        self.config = config
        self.timeout_seconds: float = config["SMS_TIMEOUT_SECONDS"]
        # On the monotonic clock; 0 while the provider answers. Each process has its own value.
        self.away_until = 0.0

    @final
    def send(self, phone: str, code: str) -> None:
        """Send `code` to `phone` (E.164). Raises SmsError for any error of the provider's library."""
        if not self.takes(phone):
            raise SmsError("does not send to this number")
        started = time.monotonic()
        try:
            self.try_send(str(self.wire_number(phone)), code)
        except SmsError as error:
            log.warning("%s did not send: %s (%.2f s)", self.name, error, time.monotonic() - started)
            raise
        except Exception as error:
            # Messages of the libraries quote the request with the code, so only the type is logged.
            log.warning("%s failed: %s (%.2f s)", self.name, type(error).__name__, time.monotonic() - started)
            kind = SmsAwayError if isinstance(error, OSError) else SmsError
            raise kind(type(error).__name__) from None
        log.info("%s sent a code (%.2f s)", self.name, time.monotonic() - started)

    @final
    def takes(self, phone: str) -> bool:
        """Return True if this provider sends to `phone` by a form that can mean no other number."""
        number = self.wire_number(phone)
        return number is not None and read_wire(number) == phone

    @abstractmethod
    def wire_number(self, phone: str) -> str | None:
        """Return `phone` (E.164) in a form that `read_wire` can read, or None if this provider does not send there."""

    @abstractmethod
    def try_send(self, number: str, code: str) -> None:
        """Send the message to `number`, which `wire_number` has returned.

        Raises SmsError with the provider's own error code if the provider refuses.
        """
