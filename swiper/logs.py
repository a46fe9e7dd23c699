"""Log lines: the request id on each, phone numbers masked, credentials never."""

import logging
import re
from contextvars import ContextVar

request_id_var: ContextVar[str] = ContextVar("request_id", default="-")
address_var: ContextVar[str] = ContextVar("address", default="-")

# E.164 numbers have up to 15 digits; ids have 18 or 19 and stay readable.
PHONE = re.compile(r"(?<!\d)(\+?\d{3})\d{2,9}(\d{3})(?!\d)")
SECRET = re.compile(
    r"(?i)((?:vcode|password|secret|token|cookie|authorization|sig)(?:_\w+)?['\"]?\s*[=:]\s*)['\"]?[^\s'\",&}]+"
)


def mask(text: str) -> str:
    """Hide the middle of every phone number and the value of every named secret in `text`."""
    return PHONE.sub(r"\1****\2", SECRET.sub(r"\1***", text))


class MaskingFormatter(logging.Formatter):
    """Formats a record with its request id, then masks the whole text but for that id, traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        vars(record)["request_id"] = request_id = request_id_var.get()
        # Ids are hexadecimal, so many hold a run of digits that looks like a phone number.
        mark = f"[{request_id}]"
        return mark.join(mask(part) for part in super().format(record).split(mark))
