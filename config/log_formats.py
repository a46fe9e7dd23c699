"""The forms of a log record, a line or a JSON object, with the request id and without phone numbers and credentials."""

import json
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime

request_id_var: ContextVar[str] = ContextVar("request_id", default="-")

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


class JsonFormatter(logging.Formatter):
    """Formats a record as one line with a JSON object. Message and exception are masked as in a line of text.

    The object has `time` (ISO 8601, UTC), `level`, `logger`, `request_id` (`-` outside of a request or task) and
    `message`, and if there was an exception or a stack `exception` with the traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        found = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "request_id": request_id_var.get(),
            "message": mask(record.getMessage()),
        }
        traces = [self.formatException(record.exc_info)] if record.exc_info else []
        if record.stack_info:
            traces.append(self.formatStack(record.stack_info))
        if traces:
            found["exception"] = mask("\n".join(traces))
        # All but ASCII is escaped: so no character ends a line, and half of a surrogate pair can be written.
        return json.dumps(found)
