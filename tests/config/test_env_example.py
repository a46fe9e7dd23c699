"""`.env.example` lists each setting with its default."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from config.settings import ROOT, Settings
from tests.config.conftest import FIELDS
from tests.config.test_production import PRODUCTION

EXAMPLE = ROOT / ".env.example"


LINE = re.compile(r"^#([A-Z][A-Z0-9_]*)=(.*)$")


SECRETS = {"SECRET_KEY", "PAYMENT_SECRET"}


def examples() -> dict[str, str]:
    """The variables that .env.example lists, with the values it shows."""
    found = [match.groups() for match in map(LINE.match, EXAMPLE.read_text().splitlines()) if match]
    assert len(found) == len({name for name, _ in found}), "a variable is listed twice"
    return dict(found)


def test_example_lists_exactly_the_settings() -> None:
    assert set(examples()) == set(FIELDS)


def test_example_sets_nothing_by_itself() -> None:
    lines = EXAMPLE.read_text().splitlines()
    assert all(line == "" or line.startswith("#") for line in lines)


def test_example_explains_each_setting() -> None:
    """The line above each variable is a comment, not another variable."""
    lines = EXAMPLE.read_text().splitlines()
    for number, line in enumerate(lines):
        if LINE.match(line):
            assert lines[number - 1].startswith("# "), line


def test_example_shows_the_defaults(load: Callable[..., Settings]) -> None:
    """Uncommented, the whole file changes nothing, but for what depends on the machine and the secrets."""
    shown = {name: value for name, value in examples().items() if name not in SECRETS | {"WEB_CONCURRENCY"}}
    del shown["SWIPER_INSTANCE"]
    plain: dict[str, Any] = Settings(_env_file=None, web_concurrency=2).model_dump()
    written = load(**shown, WEB_CONCURRENCY="2").model_dump()
    assert {name: (plain[name], written[name]) for name in plain if plain[name] != written[name]} == {}


def test_production_refuses_the_secrets_of_the_example(load: Callable[..., Settings]) -> None:
    shown = examples()
    cashier = PRODUCTION | {"PAYMENT_PROVIDER": "cashier", "PAYMENT_CHECKOUT_URL": "https://pay.example"}
    for name in SECRETS:
        assert shown[name].startswith("change-me")
        with pytest.raises(ValidationError, match=f"{name}: production needs 32 characters"):
            load(**(cashier | {name: shown[name]}))
