"""After a restore, files and rows of pictures agree: a file without a row goes, a row without a file is mended."""

from pathlib import Path

import pytest
from flask import Flask

from swiper.extensions import db
from swiper.profiles import restored_files
from tests.factories import Person
from tests.profiles.uploading import FakeStore, files_in, profile_of, run_task, send_avatar, send_photo


def reconcile(app: Flask) -> restored_files.Agreement:
    with app.app_context():
        found = restored_files.reconcile_files()
        db.session.remove()
    return found


def test_a_picture_that_the_store_took_during_the_backup_is_shown_from_there(
    app: Flask, person: Person, store: FakeStore, media: Path
) -> None:
    send_avatar(person)
    pushed = send_photo(person).json["data"]
    run_task(app, "profiles.push_upload", person.id, int(pushed["id"]))
    (waiting,) = files_in(media)
    waiting.unlink()
    assert reconcile(app) == (0, 0)
    profile = profile_of(person)
    assert profile["avatar"] == f"https://cdn.example/{waiting.relative_to(media)}"
    assert [photo["url"].split("/")[2] for photo in profile["photos"]] == ["cdn.example"]


def test_a_local_file_of_a_picture_that_the_store_has_is_removed(
    app: Flask, person: Person, store: FakeStore, media: Path
) -> None:
    photo = send_photo(person).json["data"]
    (path,) = files_in(media)
    data = path.read_bytes()
    run_task(app, "profiles.push_upload", person.id, int(photo["id"]))
    path.write_bytes(data)
    assert reconcile(app) == (1, 0)
    assert files_in(media) == []


def test_every_picture_is_looked_at_when_there_are_many(
    app: Flask, person: Person, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restored_files, "PAGE", 2)
    photos = [send_photo(person).json["data"]["id"] for _ in range(5)]
    lost = {path: path.read_bytes() for path in files_in(media)[::2]}
    for path in lost:
        path.unlink()
    assert reconcile(app) == (0, 3)
    assert len(profile_of(person)["photos"]) == 2 == len(files_in(media))
    assert set(photos) > {photo["id"] for photo in profile_of(person)["photos"]}
