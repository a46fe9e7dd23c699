"""What the settings of all groups are made of."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

ROOT = Path(__file__).resolve().parent.parent


class ConfigurationError(ValueError):
    """A setting with which Swiper cannot start. Its text is one line for the operator."""


class Environment(StrEnum):
    """Where this process runs. Production is strict about secrets and providers."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TESTING = "testing"


def split_commas(value: Any) -> Any:
    """Return the parts of a text such as `a,b`, without spaces around them. What is no text is returned as it is."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


# The environment has lists as `a,b`. Without NoDecode, pydantic would expect JSON.
CommaList = Annotated[list[str], NoDecode, BeforeValidator(split_commas)]
