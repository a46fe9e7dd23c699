"""A backup of a site is restored into an empty one, on SQLite; `make chaos` does it on each database under load."""

import errno
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import create_engine

from config.settings import ROOT, Settings
from deploy.backup.errors import BackupError
from deploy.backup.sqlite import SQLite
from deploy.backup.work_folder import only_one
from swiper.clock import now
from swiper.db.revisions import known_revisions
from swiper.db.upgrades import UpgradeError, upgrade_lock
from swiper.profiles import deletion_list
from swiper.profiles.suspensions import suspend
from tests.backup.conftest import Run
from tests.factories import People, Person
from tests.processes import environment
from tests.profiles.uploading import files_in, send_avatar, send_photo

pytestmark = pytest.mark.any_database
Env = dict[str, str]


@pytest.fixture(autouse=True)
def empty_folders(app: Flask) -> None:
    for folder in (app.config["MEDIA_DIR"], app.config["DELETION_LIST_DIR"]):
        for path in files_in(folder):
            path.unlink()


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def archives(folder: Path) -> list[Path]:
    return sorted(folder.glob("swiper-*.tar"))


def rows(env: Env, query: str) -> list[Any]:
    path = env["DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def tables(env: Env) -> dict[str, list[Any]]:
    """All rows of all tables, but of those that belong to running processes or get other ids by a second deletion."""
    names = [name for (name,) in rows(env, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    left = {"tombstones", "invalidations", "file_removals", "deleted_numbers", "ended_matches", "score_changes"}
    return {name: sorted(rows(env, f"SELECT * FROM {name}"), key=repr) for name in names if name not in left}


def media_of(env: Env) -> list[str]:
    folder = Path(env["SWIPER_INSTANCE"]) / "media"
    return sorted(str(path.relative_to(folder)) for path in files_in(folder))


def like_each_other(one: Person, other: Person) -> None:
    one.like(other)
    assert other.like(one).json["data"]["is_matched"]


def test_a_site_comes_back_as_it_was(
    app: Flask, people: People, run: Run, source: Env, target: Env, backups: Path
) -> None:
    man, woman, gone = people.add(vip=3), people.woman(), people.woman()
    like_each_other(man, woman)
    send_avatar(man)
    send_photo(woman)
    gone.delete_account()
    before, files = tables(source), media_of(source)
    assert len(files) == 2
    assert run(source, "create", "--to", backups) == 0
    # A file of an upload that was not stored yet when the database was dumped.
    (archive,) = archives(backups)
    assert run(target, "restore", archive, "--work", backups, "--without-deletions") == 0
    assert tables(target) == before
    assert media_of(target) == files
    (settings,) = Path(target["SWIPER_INSTANCE"]).glob("settings-*.env")
    assert settings.stat().st_mode & 0o077 == 0
    assert app.config["SECRET_KEY"] not in settings.read_text()
    # Nothing passing is left, in either folder.
    assert [path.name for path in backups.iterdir() if path.name.startswith(".work")] == []
    assert list(Path(target["SWIPER_INSTANCE"]).glob(".restore-*")) == []


def test_an_account_that_was_deleted_after_the_backup_stays_deleted(
    app: Flask, people: People, run: Run, source: Env, target: Env, backups: Path
) -> None:
    man, woman, other = people.add(), people.woman(), people.woman()
    for each in (woman, other):
        like_each_other(man, each)
    send_avatar(woman)
    send_photo(woman)
    send_photo(other)
    with app.app_context():
        suspend(other.id, "spam", None)
    assert run(source, "create", "--to", backups) == 0
    kept = media_of(source)
    people.client_of(woman.id)
    assert woman.delete_account().status_code == 200
    assert Person(other.id, other.phone, people.client_of(other.id)).delete_account().status_code == 200
    after = tables(source)
    numbers = rows(source, "SELECT digest, is_suspended, reason, kept FROM deleted_numbers ORDER BY digest")
    (archive,) = archives(backups)
    listed = app.config["DELETION_LIST_DIR"]
    assert run(target, "restore", archive, "--work", backups) == 1
    assert run(target, "restore", archive, "--work", backups, "--deletions", listed) == 0
    assert tables(target) == after
    assert rows(target, "SELECT count(*) FROM users") == [(1,)]
    assert rows(target, "SELECT count(*) FROM friends") == [(0,)]
    assert rows(target, "SELECT digest, is_suspended, reason, kept FROM deleted_numbers ORDER BY digest") == numbers
    assert {is_suspended for _, is_suspended, _, _ in numbers} == {0, 1}
    assert (len(kept), media_of(target)) == (3, [])
    assert set(deletion_list.read([listed])) == {woman.id, other.id}
    assert set(deletion_list.read([Path(target["SWIPER_INSTANCE"]) / "deletions"])) == {woman.id, other.id}


def test_files_and_rows_that_do_not_belong_together_are_not_restored(
    app: Flask, people: People, run: Run, source: Env, target: Env, backups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    man, woman = people.add(), people.woman()
    send_avatar(man)
    send_photo(woman)
    media: Path = app.config["MEDIA_DIR"]
    (lost,) = [
        path for path in files_in(media) if man.get("/api/user/profile").json["data"]["avatar"].endswith(path.name)
    ]
    lost.unlink()
    stray = media / "ab" / f"ab{'0' * 30}.jpg"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"a picture whose upload is not in the dump")
    assert run(source, "create", "--to", backups) == 0
    (archive,) = archives(backups)
    assert run(target, "restore", archive, "--work", backups, "--without-deletions") == 0
    assert media_of(target) == [str(path.relative_to(media)) for path in files_in(media) if path != stray]
    assert rows(target, "SELECT avatar FROM users WHERE avatar <> ''") == []
    assert rows(target, "SELECT kind FROM uploads") == [("photo",)]
    assert '"avatar":""' in rows(target, f"SELECT card FROM discovery WHERE uid = {man.id}")[0][0].replace(" ", "")


def broken(archive: Path) -> None:
    data = bytearray(archive.read_bytes())
    data[700] ^= 1
    archive.write_bytes(data)


def cut_off(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-12_000])


@pytest.mark.parametrize("spoil", [broken, cut_off])
def test_a_site_is_untouched_by_an_archive_that_is_damaged(
    people: People, run: Run, source: Env, target: Env, backups: Path, spoil: Callable[[Path], None]
) -> None:
    people.add()
    assert run(source, "create", "--to", backups) == 0
    (archive,) = archives(backups)
    assert run(target, "restore", archive, "--work", backups, "--without-deletions") == 0
    before = tables(target)
    spoil(archive)
    assert run(target, "restore", archive, "--work", backups, "--without-deletions", "--replace") == 1
    assert tables(target) == before


def test_a_site_that_has_something_is_refused_until_it_is_to_be_replaced(
    app: Flask, people: People, run: Run, source: Env, target: Env, backups: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    man = people.add()
    send_avatar(man)
    assert run(source, "create", "--to", backups) == 0
    (archive,) = archives(backups)
    restoring = ("restore", archive, "--work", backups, "--without-deletions")
    assert run(target, *restoring) == 0
    with closing(sqlite3.connect(target["DATABASE_URL"].removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE users SET bio = 'written later'")
        connection.commit()
    capsys.readouterr()
    assert run(target, *restoring) == 1
    told = capsys.readouterr().err
    assert "the database has people" in told
    assert "has pictures" in told
    assert rows(target, "SELECT bio FROM users") == [("written later",)]
    assert run(target, *restoring, "--replace", "--dry-run") == 0
    assert rows(target, "SELECT bio FROM users") == [("written later",)]
    assert run(target, *restoring, "--replace") == 0
    assert rows(target, "SELECT bio FROM users") == [("",)]
    assert media_of(target) == media_of(source)


def test_a_site_that_runs_is_refused(
    app: Flask, people: People, run: Run, source: Env, backups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add()
    assert run(source, "create", "--to", backups) == 0
    times = iter(range(100))
    monkeypatch.setattr(
        "deploy.backup.restore.time.sleep", lambda _: app.extensions["redis"].set("heartbeat:beat", next(times))
    )
    app.extensions["redis"].set("heartbeat:beat", 5)
    (archive,) = archives(backups)
    before = tables(source)
    monkeypatch.setattr("deploy.backup.restore.time.sleep", lambda _: app.extensions["redis"].set("heartbeat:beat", 20))
    assert run(source, "restore", archive, "--work", backups, "--without-deletions", "--replace") == 1
    assert tables(source) == before


def test_a_dry_run_writes_nothing(run: Run, source: Env, people: People, backups: Path) -> None:
    people.add()
    assert run(source, "create", "--to", backups, "--dry-run") == 0
    assert not backups.exists()


def test_sessions_and_secrets_go_into_an_encrypted_backup_alone(
    app: Flask, run: Run, source: Env, people: People, backups: Path, tmp_path: Path
) -> None:
    people.add()
    for option in ("--with-sessions", "--with-secrets"):
        assert run(source, "create", "--to", backups, option) == 1
    assert not backups.exists()
    assert run(source, "key", tmp_path / "key") == 0
    assert run(source, "create", "--to", backups, "--with-secrets", "--key", tmp_path / "key") == 0
    (archive,) = backups.glob("*.age")
    assert app.config["SECRET_KEY"].encode() not in archive.read_bytes()
    assert run(source, "verify", archive) == 1
    assert run(source, "verify", archive, "--key", tmp_path / "key") == 0


def test_a_second_backup_removes_what_is_too_old_and_what_a_killed_one_has_left(
    run: Run, source: Env, people: People, backups: Path
) -> None:
    people.add()
    backups.mkdir()
    for left in (".work-killed/dump", "swiper-20260101T000000Z.tar.partial"):
        (backups / left).parent.mkdir(exist_ok=True)
        (backups / left).write_text("passwords")
    former = backups / "swiper-20260101T000000Z.tar"
    former.write_text("a former backup")
    assert run(source, "create", "--to", backups, "--keep", 1) == 0
    (archive,) = archives(backups)
    assert archive != former
    assert {path.name for path in backups.iterdir()} == {".lock", archive.name, f"{archive.name}.sha256"}


def test_a_backup_that_fails_removes_no_other(
    run: Run, source: Env, people: People, backups: Path, tmp_path: Path
) -> None:
    backups.mkdir()
    former = backups / "swiper-20260101T000000Z.tar"
    former.write_text("a former backup")
    broken_site = source | {"DATABASE_URL": f"sqlite:///{tmp_path / 'none.db'}"}
    assert run(broken_site, "create", "--to", backups, "--keep", 1) == 1
    assert [path for path in backups.iterdir() if path.name != ".lock"] == [former]


def test_a_manifest_tells_what_the_backup_was_made_of(run: Run, source: Env, people: People, backups: Path) -> None:
    people.add()
    assert run(source, "create", "--to", backups) == 0
    (archive,) = archives(backups)
    text = archive.read_bytes()
    start = text.rindex(b'{\n "made_at"')
    found = json.JSONDecoder().raw_decode(text[start:].decode(errors="replace"))[0]
    assert found["database"] == "sqlite"
    assert found["version"]
    assert set(found["parts"]) == {"database", "redis", "settings"}


def change(env: Env, statement: str) -> None:
    with closing(sqlite3.connect(env["DATABASE_URL"].removeprefix("sqlite:///"))) as connection:
        connection.execute(statement)
        connection.commit()


def site_at(tmp_path: Path, settings: Settings, make_app: Callable[..., Flask], revision: str) -> Env:
    """A site of a former release: its schema is at `revision`."""
    env = environment(tmp_path / "former", SECRET_KEY=settings.secret_key)
    app = make_app(instance=tmp_path / "former", database_url=env["DATABASE_URL"], redis_url=env["REDIS_URL"])
    with app.app_context():
        flask_migrate.upgrade(str(ROOT / "migrations"), revision=revision)
    return env


def test_a_backup_of_a_former_release_gets_the_schema_of_this_one(
    run: Run, target: Env, backups: Path, tmp_path: Path, settings: Settings, make_app: Callable[..., Flask]
) -> None:
    former = site_at(tmp_path, settings, make_app, "0009")
    assert run(former, "create", "--to", backups) == 0
    (archive,) = archives(backups)
    assert run(target, "restore", archive, "--work", backups, "--without-deletions") == 0
    assert rows(former, "SELECT version_num FROM alembic_version") == [("0009",)]
    heads, _ = known_revisions()
    assert {revision for (revision,) in rows(target, "SELECT version_num FROM alembic_version")} == heads


def test_a_backup_of_a_later_release_is_refused(
    run: Run,
    target: Env,
    backups: Path,
    tmp_path: Path,
    settings: Settings,
    make_app: Callable[..., Flask],
    capsys: pytest.CaptureFixture[str],
) -> None:
    later = site_at(tmp_path, settings, make_app, "head")
    change(later, "UPDATE alembic_version SET version_num = '9999'")
    assert run(later, "create", "--to", backups) == 0
    (archive,) = archives(backups)
    assert run(target, "restore", archive, "--work", backups, "--without-deletions") == 1
    assert "a newer release" in capsys.readouterr().err
    assert not Path(target["DATABASE_URL"].removeprefix("sqlite:///")).exists()


def test_a_backup_older_than_the_lists_of_deletions_is_refused(
    app: Flask,
    run: Run,
    source: Env,
    target: Env,
    people: People,
    backups: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people.add()
    people.add().delete_account()
    with monkeypatch.context() as patch:
        patch.setattr("deploy.backup.create.now", lambda: now() - timedelta(days=91))
        assert run(source, "create", "--to", backups) == 0
    (archive,) = archives(backups)
    restoring = ("restore", archive, "--work", backups, "--deletions", app.config["DELETION_LIST_DIR"])
    assert run(target, *restoring) == 1
    assert "older than the lists of deleted accounts" in capsys.readouterr().err
    assert run(target | {"DELETION_LIST_DAYS": "100"}, *restoring) == 0


def test_a_site_that_is_restored_in_part_does_not_start(
    people: People, run: Run, source: Env, target: Env, backups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add()
    assert run(source, "create", "--to", backups) == 0
    (archive,) = archives(backups)
    restoring = ("restore", archive, "--work", backups, "--without-deletions")
    start = [sys.executable, "-c", "from swiper import start_app; start_app()"]
    left = Path(target["SWIPER_INSTANCE"]) / ".restore-killed"
    left.mkdir(parents=True)
    (left / "settings").write_text("secrets")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("deploy.backup.restore._place_pictures", fail)
        assert run(target, *restoring) == 1
    assert not left.exists()
    done = subprocess.run(start, env={**os.environ, **target}, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "swiper: a restore of a backup runs or did not end; repeat it with --replace\n",
    )
    assert run(target, *restoring, "--replace") == 0
    assert not any(path.name.startswith(".resto") for path in Path(target["SWIPER_INSTANCE"]).iterdir())


def test_a_restore_and_a_backup_do_not_work_in_one_folder(
    people: People, run: Run, source: Env, target: Env, backups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add()
    assert run(source, "create", "--to", backups) == 0
    (archive,) = archives(backups)
    load, tried = SQLite.load, []

    def load_beside_a_backup(self: SQLite, path: Path) -> None:
        with pytest.raises(BackupError, match="another backup or restore works"), only_one(backups):
            pass
        tried.append(path)
        load(self, path)

    monkeypatch.setattr(SQLite, "load", load_beside_a_backup)
    assert run(target, "restore", archive, "--work", backups, "--without-deletions") == 0
    assert len(tried) == 1


def test_nobody_changes_the_schema_while_it_is_backed_up_or_restored(
    people: People, run: Run, source: Env, target: Env, backups: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    people.add()
    tried = []

    def beside_a_migration(name: str) -> Callable[[SQLite, Path], None]:
        original = getattr(SQLite, name)

        def do(self: SQLite, path: Path) -> None:
            with pytest.raises(UpgradeError), upgrade_lock(create_engine(self.url), wait_seconds=0):
                pass
            tried.append(name)
            original(self, path)

        return do

    for name in ("dump", "load"):
        monkeypatch.setattr(SQLite, name, beside_a_migration(name))
    assert run(source, "create", "--to", backups) == 0
    (archive,) = archives(backups)
    with upgrade_lock(create_engine(source["DATABASE_URL"]), wait_seconds=0):
        assert run(source, "create", "--to", tmp_path / "others") == 1
    assert "the schema of this database is being changed" in capsys.readouterr().err
    assert archives(tmp_path / "others") == []
    assert archives(backups) == [archive]
    assert run(target, "restore", archive, "--work", backups, "--without-deletions") == 0
    assert tried == ["dump", "load"]


def test_pictures_may_lie_on_another_disk(
    people: People, run: Run, source: Env, target: Env, backups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_avatar(people.add())
    assert run(source, "create", "--to", backups) == 0
    (archive,) = archives(backups)
    rename = os.rename

    def rename_on_one_disk(source: Any, target: Any, **options: Any) -> None:
        if "/media/" in str(target) and str(source).split("/media/")[0] != str(target).split("/media/")[0]:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target, **options)

    monkeypatch.setattr(os, "rename", rename_on_one_disk)
    assert run(target, "restore", archive, "--work", backups, "--without-deletions") == 0
    assert len(media_of(target)) == 1
    assert media_of(target) == media_of(source)
