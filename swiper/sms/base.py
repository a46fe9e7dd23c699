"""What every SMS provider does the same: time the call, log its outcome without the number or the code."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)


class SmsError(Exception):
    """The provider refused the message, failed, or did not answer in time. Its text never holds number or code."""


class SmsAwayError(SmsError):
    """The provider could not be reached or did not answer in time, so the next message would fare no better."""


class SmsProvider(ABC):
    """Sends one login code. A subclass names itself and writes `try_send`."""

    name: str

    def __init__(self, config: Mapping[str, Any]) -> None:
        """`config` is the application's configuration; a subclass reads its own credentials from it."""
        self.config = config
        self.timeout_seconds: float = config["SMS_TIMEOUT_SECONDS"]
        # By the monotonic clock; 0 while it answers. Each process finds out for itself.
        self.away_until = 0.0

    def send(self, phone: str, code: str) -> None:
        """Send `code` to `phone` (E.164). Raises SmsError, whatever went wrong inside the provider's library."""
        started = time.monotonic()
        try:
            self.try_send(phone, code)
        except SmsError as error:
            log.warning("%s did not send: %s (%.2f s)", self.name, error, time.monotonic() - started)
            raise
        except Exception as error:
            # The libraries' own messages quote the request, code included, so only the type is told.
            log.warning("%s failed: %s (%.2f s)", self.name, type(error).__name__, time.monotonic() - started)
            kind = SmsAwayError if isinstance(error, OSError) else SmsError
            raise kind(type(error).__name__) from None
        log.info("%s sent a code (%.2f s)", self.name, time.monotonic() - started)

    @abstractmethod
    def try_send(self, phone: str, code: str) -> None:
        """Hand the message to the provider; raise SmsError with the provider's own error code where it refuses."""
