"""Uploads and pushes that are killed, lose their commit or meet the sweep leave either the whole picture or nothing."""

import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import DBAPIError

from config.settings import ROOT, Settings
from swiper.clock import now
from swiper.extensions import db
from swiper.profiles import upload_pushes, uploads
from swiper.profiles.models import FileRemoval, Upload
from swiper.profiles.upload_pushes import LOST_AFTER_SECONDS
from tests.factories import Clock, Person
from tests.processes import environment_of
from tests.profiles.dying_upload import FolderStore
from tests.profiles.uploading import (
    files_in,
    let_time_pass,
    picture,
    profile_of,
    rows,
    run_task,
    send_avatar,
    send_photo,
)

pytestmark = pytest.mark.usefixtures("media")


Attempt = Callable[[str], int]


@pytest.fixture(scope="module")
def mortal(settings: Settings, migrated_app: Flask, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A process that runs uploads which end as they are told, and the folder of its remote store."""
    own = tmp_path_factory.mktemp("mortal")
    (own / "picture").write_bytes(picture())
    (own / "remote").mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.profiles.dying_upload", own / "picture", own / "remote"],
        env=environment_of(settings),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process, own / "remote"
        assert process.stdin
        process.stdin.close()
    assert process.returncode == 0


@pytest.fixture
def remote(app: Flask, mortal: Any) -> Iterator[Path]:
    """The remote store's folder, empty; the application uses the same."""
    folder: Path = mortal[1]
    for file in files_in(folder):
        file.unlink()
    former, FolderStore.folder = app.extensions["storage"], folder
    app.extensions["storage"] = FolderStore(app.config)
    yield folder
    app.extensions["storage"] = former


@pytest.fixture
def dying(person: Person, mortal: Any, remote: Path) -> Attempt:
    """Lets a process upload a photo and push it, and die at the given step; its exit status."""
    process = mortal[0]

    def attempt(step: str) -> int:
        process.stdin.write(f"{person.id} {step}\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    return attempt


def test_what_a_killed_upload_leaves_is_swept(app: Flask, media: Path, dying: Attempt) -> None:
    left_by = {
        "before the note": ([], 0),
        "after the note": ([], 1),
        "before the file": ([], 1),
        "in the file": ([".part"], 1),
        "before its name": ([".part"], 1),
        "after its name": ([".jpg"], 1),
        "before the commit": ([".jpg"], 1),
    }
    for step, (files, notes) in left_by.items():
        assert dying(step) == -signal.SIGKILL, step
        run_task(app, "profiles.sweep_files")
        assert ([file.suffix for file in files_in(media)], len(rows(app, FileRemoval))) == (files, notes), step
        assert rows(app, Upload) == []
        let_time_pass(app)
        run_task(app, "profiles.sweep_files")
        assert (files_in(media), rows(app, FileRemoval)) == ([], []), step


def test_an_upload_that_is_killed_after_its_commit_is_there_for_good(
    app: Flask, person: Person, media: Path, dying: Attempt, remote: Path
) -> None:
    assert dying("after the commit") == -signal.SIGKILL
    [upload] = rows(app, Upload)
    assert [str(file.relative_to(media)) for file in files_in(media)] == [upload.key]
    assert rows(app, FileRemoval) == []
    let_time_pass(app)
    run_task(app, "profiles.sweep_files")
    assert [file.name for file in remote.iterdir()] == [Path(upload.key).name]
    assert profile_of(person)["photos"] == [{"id": str(upload.id), "url": f"https://cdn.example/{upload.key}"}]
    assert files_in(media) == []


def test_what_a_killed_push_leaves_is_swept(app: Flask, media: Path, dying: Attempt, remote: Path) -> None:
    for step in ("before the push is told", "after the push is told", "before the push ends"):
        assert dying(step) == -signal.SIGKILL, step
        assert len(files_in(media)) == (0 if step == "before the push ends" else 1), step
        let_time_pass(app)
        run_task(app, "profiles.sweep_files")
        assert (files_in(media), rows(app, FileRemoval)) == ([], []), step
    assert [upload.is_pushed for upload in rows(app, Upload)] == [True] * 3
    assert {file.name for file in remote.iterdir()} == {Path(upload.key).name for upload in rows(app, Upload)}


def test_an_upload_that_the_sweep_has_given_up_is_refused_and_leaves_nothing(
    app: Flask, person: Person, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process stands still for a minute between its note and the file, and the sweep is at any point by then."""
    clock, note = Clock(monkeypatch, now()), uploads._note_file
    for sweep in (upload_pushes._claim_removal, upload_pushes.remove_file):

        def note_and_wait(key: str, noted_at: datetime, sweep: Callable[[str], object] = sweep) -> None:
            note(key, noted_at)
            clock.advance(seconds=LOST_AFTER_SECONDS + 1)
            sweep(key)

        monkeypatch.setattr(uploads, "_note_file", note_and_wait)
        for answer in (send_photo(person), send_avatar(person)):
            assert (answer.status_code, answer.json["code"]) == (503, 1011)
        assert (files_in(media), rows(app, Upload), rows(app, FileRemoval)) == ([], [], [])
    monkeypatch.setattr(uploads, "_note_file", note)
    assert send_photo(person).status_code == 201


def test_the_sweep_leaves_an_upload_alone_that_is_about_to_commit(
    app: Flask, person: Person, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, save, sweeps = Clock(monkeypatch, now()), uploads.save_file, []

    def sweep(key: str) -> None:
        with app.app_context():
            upload_pushes.remove_file(key)

    def save_slowly(folder: Path, data: bytes, key: str) -> str:
        clock.advance(seconds=LOST_AFTER_SECONDS + 1)
        sweeps.append(threading.Thread(target=sweep, args=(key,)))
        sweeps[0].start()
        sweeps[0].join(0.3)
        assert sweeps[0].is_alive(), "the sweep waits for what holds the note"
        return save(folder, data, key)

    monkeypatch.setattr(uploads, "save_file", save_slowly)
    assert send_photo(person).status_code == 201
    sweeps[0].join(20)
    [upload] = rows(app, Upload)
    assert [str(file.relative_to(media)) for file in files_in(media)] == [upload.key]
    assert rows(app, FileRemoval) == []


class LostAnswers:
    """Commits, of which the given ones (the first is 0) pass but lose their answer, as when the connection breaks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *lost: int) -> None:
        self.lost, self.count, self.commit = lost, itertools.count(), db.session.commit
        monkeypatch.setattr(db.session, "commit", self)

    def __call__(self) -> None:
        number = next(self.count)
        self.commit()
        if number in self.lost:
            raise DBAPIError("COMMIT", None, ConnectionError("lost"), connection_invalidated=True)


@pytest.mark.parametrize("send_one", [send_photo, send_avatar])
def test_an_upload_whose_commit_loses_its_answer_is_stored_once(
    app: Flask, person: Person, media: Path, monkeypatch: pytest.MonkeyPatch, send_one: Callable[[Person], Any]
) -> None:
    # The note's commit is the first, the upload's own the next; each is repeated.
    LostAnswers(monkeypatch, 0, 2)
    assert send_one(person).status_code == 201
    [upload] = rows(app, Upload)
    assert rows(app, FileRemoval) == []
    assert [str(file.relative_to(media)) for file in files_in(media)] == [upload.key]


def test_an_upload_that_stays_in_doubt_keeps_row_and_file_together(
    app: Flask, person: Person, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LostAnswers(monkeypatch, *range(1, 20))
    assert send_photo(person).json["code"] == 1011
    monkeypatch.undo()
    let_time_pass(app)
    run_task(app, "profiles.sweep_files")
    [upload] = rows(app, Upload)
    assert [str(file.relative_to(media)) for file in files_in(media)] == [upload.key]
    assert rows(app, FileRemoval) == []


def test_an_upload_that_cannot_be_committed_leaves_nothing(
    app: Flask, person: Person, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, count = db.session.commit, itertools.count()

    def fail_after_the_note() -> None:
        if next(count):
            raise DBAPIError("COMMIT", None, ConnectionError("lost"), connection_invalidated=True)
        commit()

    monkeypatch.setattr(db.session, "commit", fail_after_the_note)
    assert send_photo(person).json["code"] == 1011
    assert len(rows(app, FileRemoval)) == 1
    monkeypatch.undo()
    let_time_pass(app)
    run_task(app, "profiles.sweep_files")
    assert (files_in(media), rows(app, Upload), rows(app, FileRemoval)) == ([], [], [])
