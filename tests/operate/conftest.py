"""Sites that no test leaves a process of."""

from collections.abc import Iterator

import pytest
from flask import Flask

from config.settings import Settings
from tests.operate.sites import SiteFolder
from tests.processes import environment_of, free_port


@pytest.fixture(scope="module")
def folder(settings: Settings, migrated_app: Flask, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteFolder]:
    """A site with one release, 1.0, that does not run yet."""
    made = SiteFolder(
        tmp_path_factory.mktemp("operate") / "site",
        environment_of(settings, METRICS_BIND=f"127.0.0.1:{free_port()}"),
    )
    made.add_release("1.0")
    made.link("1.0")
    try:
        yield made
    finally:
        made.kill_all()
