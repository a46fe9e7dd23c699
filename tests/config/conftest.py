"""Settings that are read from environment variables alone."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from config.faults import VARIABLES as FIELDS
from config.settings import Settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of our variables is set, but for an instance folder of the test's own."""
    for name in os.environ:
        if name.upper() in FIELDS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("SWIPER_INSTANCE", str(tmp_path / "instance"))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Reads the settings from the given environment variables alone."""

    def read(**variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Settings(_env_file=None)

    return read
