"""The provider for development, which appends a JSON line to `sms-outbox.jsonl` in the instance folder."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from swiper.sms.base import SmsProvider


class ConsoleProvider(SmsProvider):
    """Writes `phone`, `code` and `time`. Production refuses to start with this provider."""

    name = "console"

    def wire_number(self, phone: str) -> str | None:
        """Return the number unchanged."""
        return phone

    def try_send(self, number: str, code: str) -> None:
        """Append the line in one write, so that lines of several workers never mix."""
        line = json.dumps({"phone": number, "code": code, "time": datetime.now(UTC).isoformat()})
        handle = os.open(outbox_path(self.config), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, line.encode() + b"\n")
        finally:
            os.close(handle)


def outbox_path(config: Mapping[str, Any]) -> Path:
    """Return the path of the file."""
    return Path(config["INSTANCE"], "sms-outbox.jsonl")
