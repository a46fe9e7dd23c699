"""The settings of a site as a file of variables, without what is secret unless it is asked for."""

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from config.faults import variable_of
from config.settings import Settings

SECRET = re.compile(r"KEY|SECRET|PASSWORD|TOKEN|CREDENTIAL")
HEAD = "# The settings of the site at the time of the backup. Compare them with .env; nothing reads this file."


def write_settings(settings: Settings, path: Path, *, with_secrets: bool) -> None:
    """Write a new file with each setting that differs from its default. Raises OSError."""
    lines = [HEAD]
    for field, info in type(settings).model_fields.items():
        value = getattr(settings, field)
        name = variable_of(field)
        if value == info.get_default(call_default_factory=True) or value is None:
            continue
        text = _text_of(value)
        shown = text if with_secrets else without_secrets(name, text)
        lines.append(f"{name}={shown}" if shown is not None else f"# {name} is secret and left out")
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write("\n".join([*lines, ""]))


def without_secrets(name: str, text: str) -> str | None:
    """Return the value of a variable without the passwords in its URLs, or None if all of it is secret."""
    if "://" in text:
        return ",".join(_without_password(each) for each in text.split(","))
    return None if SECRET.search(name) else text


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    # A query may have a password as well.
    query = "" if "password" in parts.query.lower() else parts.query
    _, mark, host = parts.netloc.rpartition("@")
    user = parts.netloc.partition(":")[0].partition("@")[0]
    netloc = f"{user}@{host}" if mark else parts.netloc
    return urlunsplit(parts._replace(netloc=netloc, query=query))


def _text_of(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(getattr(value, "value", value))
