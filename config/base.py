"""What the settings of all groups are made of."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

if TYPE_CHECKING:
    from config.settings import Settings

ROOT = Path(__file__).resolve().parent.parent


class ConfigurationError(ValueError):
    """Settings with which Swiper cannot start. Its text has one line for each fault."""


class Fault(NamedTuple):
    """What is wrong, in one line that begins with the name of the variable. `others` are further variables of it."""

    name: str
    text: str
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


class FaultySettingsError(ValueError):
    """What is wrong with `settings` as a whole. Each field is valid by itself, and defaults are not filled in yet."""

    def __init__(self, faults: list[Fault], settings: "Settings") -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults
        self.settings = settings


class Environment(StrEnum):
    """Where this process runs. Production is strict about secrets and providers."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TESTING = "testing"


def split_commas(value: Any) -> Any:
    """Return the parts of a text such as `a,b`, without spaces around them. What is no text is returned as it is."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def upper_case(value: Any) -> Any:
    """Return a text in upper case, and what is no text as it is."""
    return value.upper() if isinstance(value, str) else value


# The environment has lists as `a,b`. Without NoDecode, pydantic would expect JSON.
CommaList = Annotated[list[str], NoDecode, BeforeValidator(split_commas)]
