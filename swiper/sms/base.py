"""What an SMS provider is, in this package or outside; CONTRIBUTING.md shows how one is added.

All do the same here: they time the call, and log its outcome without the number or the code.
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
    """The provider refused the message, failed, or did not answer in time. Its text never holds number or code."""


class SmsAwayError(SmsError):
    """The provider could not be reached or did not answer in time, so the next message would fare no better."""


def read_wire(number: str) -> str | None:
    """The only phone (E.164) that `number` can mean to a provider; None where it could mean several.

    A plus or 00 is followed by a country code. Eleven bare digits are a mainland mobile number and never anything
    else: +1 301 765 6088 without its plus would be one of them.
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
    """Sends one login code. A subclass names itself and writes `wire_number` and `try_send`.

    Each process builds its own at the start, and its threads share it. Whatever `__init__` raises stops the start, and
    is shown to whoever starts it.
    """

    # Stands in logs, figures and failures.
    name: str

    def __init__(self, config: Mapping[str, Any]) -> None:
        """`config` is the application's configuration; a subclass of Swiper's reads its credentials from it.

        One from outside has no settings there: it reads its own variables of the environment.
        """
        self.config = config
        self.timeout_seconds: float = config["SMS_TIMEOUT_SECONDS"]
        # By the monotonic clock; 0 while it answers. Each process finds out for itself.
        self.away_until = 0.0

    @final
    def send(self, phone: str, code: str) -> None:
        """Send `code` to `phone` (E.164). Raises SmsError, whatever went wrong inside the provider's library."""
        if not self.takes(phone):
            raise SmsError("does not send to this number")
        started = time.monotonic()
        try:
            self.try_send(str(self.wire_number(phone)), code)
        except SmsError as error:
            log.warning("%s did not send: %s (%.2f s)", self.name, error, time.monotonic() - started)
            raise
        except Exception as error:
            # The libraries' own messages quote the request, code included, so only the type is told.
            log.warning("%s failed: %s (%.2f s)", self.name, type(error).__name__, time.monotonic() - started)
            kind = SmsAwayError if isinstance(error, OSError) else SmsError
            raise kind(type(error).__name__) from None
        log.info("%s sent a code (%.2f s)", self.name, time.monotonic() - started)

    @final
    def takes(self, phone: str) -> bool:
        """True where the number has a form on this provider's wire that no other number shares."""
        number = self.wire_number(phone)
        return number is not None and read_wire(number) == phone

    @abstractmethod
    def wire_number(self, phone: str) -> str | None:
        """How this provider writes `phone` (E.164), in a form that `read_wire` reads; None where it does not send."""

    @abstractmethod
    def try_send(self, number: str, code: str) -> None:
        """Hand the message for `number`, as `wire_number` gave it, to the provider.

        Raise SmsError with the provider's own error code where it refuses.
        """
