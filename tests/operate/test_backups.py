"""`backup` and `restore` of `deploy/swiper` run by the current release, on the settings of the site alone."""

import argparse
from pathlib import Path

import pytest

from config.settings import Settings
from deploy.backup.keys import make_key
from deploy.operate import backups
from deploy.operate.errors import OperateError
from deploy.operate.steps import Steps
from tests.factories import People
from tests.operate.sites import SiteFolder
from tests.processes import environment_of

pytestmark = pytest.mark.any_database


def test_a_site_is_backed_up_and_restored_into_another(
    folder: SiteFolder, people: People, settings: Settings, tmp_path: Path
) -> None:
    people.add(nickname="Somebody here")
    make_key(tmp_path / "key")
    folder.swiper("backup", "--with-secrets", "--key", tmp_path / "key")
    (archive,) = folder.site.backups.glob("*.tar.age")

    second = SiteFolder(
        tmp_path / "second", environment_of(settings, DATABASE_URL=f"sqlite:///{tmp_path / 'second.db'}", REDIS_URL="")
    )
    second.write_env(CELERY_BROKER_URL="", CELERY_RESULT_BACKEND="")
    second.add_release("1.0")
    second.link("1.0")
    told = second.swiper("restore", archive, "--key", tmp_path / "key", "--without-deletions")
    assert "swiper: restored" in told
    assert b"Somebody here" in (tmp_path / "second.db").read_bytes()


def test_a_site_that_runs_is_not_restored(folder: SiteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    class Supervisor:
        def pid_of(self, service: object) -> int:
            return 1

    monkeypatch.setattr(backups, "supervisor_of", lambda site: Supervisor())
    given = argparse.Namespace(archive="none", key=None, deletions=[], without_deletions=True, replace=True)
    with pytest.raises(OperateError, match="stop the site first"):
        backups.restore(folder.site, Steps(), given)
