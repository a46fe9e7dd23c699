"""The settings of a site as a file of variables, without what is secret unless it is asked for."""

import os
import re
from pathlib import Path
from typing import Any

from config.faults import variable_of
from config.settings import Settings

SECRET = re.compile(r"KEY|SECRET|PASSWORD|TOKEN|CREDENTIAL")
# Celery takes the URLs of several servers, with a semicolon between them.
NEXT_URL = re.compile(r";(?=[\w+.-]+://)")
HEAD = "# The settings of the site at the time of the backup. Compare them with .env; nothing reads this file."


def write_settings(settings: Settings, path: Path, *, with_secrets: bool) -> None:
    """Write a new file with each setting that differs from its default. Raises OSError."""
    lines = [HEAD]
    for field, info in type(settings).model_fields.items():
        value = getattr(settings, field)
        name = variable_of(field)
        if value == info.get_default(call_default_factory=True) or value is None:
            continue
        texts = list(map(_text_of, value if isinstance(value, list) else [value]))
        shown = texts if with_secrets else [without_secrets(name, text) for text in texts]
        lines.append(f"# {name} is secret and left out" if None in shown else f"{name}={','.join(map(str, shown))}")
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write("\n".join([*lines, ""]))


def without_secrets(name: str, text: str) -> str | None:
    """Return the value of a variable without the passwords in its URL, or None if all of it is secret."""
    if SECRET.search(name):
        return None
    return ";".join(map(_without_password, NEXT_URL.split(text)))


def _without_password(text: str) -> str:
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    # Drivers take a password with any character but @, so the last one ends it. Rather lose a word than show a secret.
    user, has_user, place = rest.rpartition("@")
    path, query, options = place.partition("?")
    if "password" in options.lower():
        query = options = ""
    return f"{scheme}://{user.partition(':')[0].partition('@')[0]}{has_user}{path}{query}{options}"


def _text_of(value: Any) -> str:
    return str(getattr(value, "value", value))
