"""Turns pydantic's errors about settings into faults: one line each, which never shows a secret."""

from enum import Enum
from typing import Any, get_origin

from pydantic import AliasChoices, ValidationError
from pydantic.fields import FieldInfo

from config.base import Fault, FaultySettingsError
from config.settings import Settings

LONGEST_SHOWN = 40


def variable_of(field: str) -> str:
    """Return the environment variable of a field."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else field.upper()


VARIABLES = {variable_of(field): field for field in Settings.model_fields}


def faults_of(error: ValidationError) -> list[Fault]:
    """Return each fault that `error` is about."""
    found: list[Fault] = []
    for each in error.errors(include_url=False):
        cause = each.get("ctx", {}).get("error")
        if isinstance(cause, FaultySettingsError):
            found += cause.faults
        else:
            name = _variable_at(each["loc"])
            found.append(Fault(name, _text_of(Settings.model_fields[VARIABLES[name]], each)))
    return found


def half_read(error: ValidationError) -> Settings | None:
    """Return the settings if each field is valid by itself, and None otherwise."""
    causes = [each.get("ctx", {}).get("error") for each in error.errors(include_url=False)]
    return next((cause.settings for cause in causes if isinstance(cause, FaultySettingsError)), None)


def _variable_at(place: tuple[int | str, ...]) -> str:
    name = str(place[0])
    return variable_of(name) if name in Settings.model_fields else name.upper()


def _text_of(field: FieldInfo, error: Any) -> str:
    kind: Any = field.annotation
    if error["type"] == "value_error":
        # Written by our own checks, which show no secret.
        return str(error["ctx"]["error"])
    # Secrets are texts. Any text is valid for pydantic itself, so what follows is about other types.
    if kind in (int, float):
        wanted = f"must be {'a whole number' if kind is int else 'a number'}{_range_of(field)}"
    elif kind is bool or error["type"].startswith("bool"):
        wanted = "must be true or false"
    elif error["type"] == "literal_error" or (isinstance(kind, type) and issubclass(kind, Enum)):
        wanted = f"must be one of {_choices_of(kind)}"
    else:
        return str(error["msg"])
    return f"{wanted}, not {_shown(error['input'])}"


def _range_of(field: FieldInfo) -> str:
    words = {"ge": "from", "gt": "above", "le": "up to"}
    found = {sign: getattr(bound, sign) for bound in field.metadata for sign in words if hasattr(bound, sign)}
    return "".join(f" {words[sign]} {value}" for sign, value in found.items())


def _choices_of(kind: Any) -> str:
    choices = kind.__args__ if get_origin(kind) is not None else [member.value for member in kind]
    return ", ".join(map(str, choices))


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")
