"""Settings that are read from environment variables alone."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from config.base import ConfigurationError
from config.faults import VARIABLES as FIELDS
from config.load import load_settings
from config.settings import Settings

Told = Callable[..., list[str]]


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


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Told:
    """The lines of a start with the given variables and the given text of `.env`."""

    def read(env_file: str | bytes = "", **variables: str) -> list[str]:
        file = tmp_path / ".env"
        file.write_bytes(env_file if isinstance(env_file, bytes) else env_file.encode())
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        try:
            load_settings(file)
        except ConfigurationError as error:
            return str(error).splitlines()
        return []

    return read
