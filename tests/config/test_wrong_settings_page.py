"""docs/wrong-settings.md shows what is told of typical wrong settings."""

import re

import pytest

from config.settings import ROOT
from tests.config.conftest import Told
from tests.config.test_production import PRODUCTION

ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \|$", re.M)
ROWS = ROW.findall((ROOT / "docs/wrong-settings.md").read_text())


def test_the_page_has_the_typical_ones() -> None:
    assert len(ROWS) == len(set(ROWS)) == 33


@pytest.mark.parametrize(("settings", "line"), ROWS, ids=[line[:50] for _, line in ROWS])
def test_each_is_told_as_the_page_says(told: Told, settings: str, line: str) -> None:
    variables = dict(setting.split("=", 1) for setting in settings.split())
    rest = PRODUCTION if variables.get("SWIPER_ENV") == "production" else {}
    assert told(**rest | variables) == [line]
