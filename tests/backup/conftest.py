"""A site with people, and an empty one to restore into."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import current_app
from flask import Flask

from config.settings import Settings
from deploy.backup.__main__ import main
from swiper.extensions import limiter
from tests.processes import environment, environment_of

# The exit code of a command on a site.
Run = Callable[..., int]


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder for passing files."""
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def key_of_site(settings: Settings) -> str:
    return settings.secret_key


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs `python -m deploy.backup` in this process, with the settings of a site in the environment."""
    # These two belong to the process and follow the application that was made last.
    limits, celery = dict(vars(limiter)), current_app._get_current_object()

    def on(env: dict[str, str], *arguments: object) -> int:
        with monkeypatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            return main([str(argument) for argument in arguments])

    yield on
    vars(limiter).update(limits)
    celery.set_default()
    celery.set_current()


@pytest.fixture
def source(app: Flask, settings: Settings) -> dict[str, str]:
    """The environment of the site of `app`."""
    return environment_of(settings)


@pytest.fixture
def target(tmp_path: Path, settings: Settings) -> dict[str, str]:
    """The environment of an empty site on SQLite and an embedded Redis of its own, with the same key."""
    return environment(tmp_path / "target", SECRET_KEY=settings.secret_key)
