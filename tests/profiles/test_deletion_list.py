"""The list of deleted accounts outside of the database, and how a restored account is deleted again."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from swiper.clock import now
from swiper.extensions import db
from swiper.profiles import deletion_list
from swiper.profiles.accounts import repeat_deletion
from swiper.profiles.models import DeletedNumber, Tombstone, User
from swiper.profiles.operators import grant_role
from tests.factories import Clock, People, Person

LONG_AGO = datetime(2026, 3, 10, 4, 0, tzinfo=UTC)


@pytest.fixture
def folder(app: Flask) -> Iterator[Path]:
    """The folder of the list, empty."""
    path: Path = app.config["DELETION_LIST_DIR"]
    shutil.rmtree(path, ignore_errors=True)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def sweep_later(app: Flask) -> None:
    """Run the sweep of tombstones as if it were some minutes later."""
    with app.app_context():
        for tombstone in db.session.scalars(select(Tombstone)):
            tombstone.deleted_at = now() - timedelta(minutes=5)
        db.session.commit()
        db.session.remove()
    app.extensions["celery"].tasks["social.sweep_deleted"]()


def tombstones(app: Flask) -> list[int]:
    with app.app_context():
        return list(db.session.scalars(select(Tombstone.uid)))


def text_of(folder: Path) -> str:
    return "".join(path.read_text() for path in deletion_list.files_in(folder))


def test_a_deletion_is_listed_at_once_by_its_id_and_time_alone(folder: Path, people: People) -> None:
    person = people.add(nickname="Somebody")
    assert person.delete_account().status_code == 200
    assert list(deletion_list.read([folder])) == [person.id]
    text = text_of(folder)
    assert text.strip().split(",")[0] == str(person.id)
    assert len(text.strip()) == len(f"{person.id},2026-03-10T04:00:00Z")
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def test_the_sweep_lists_what_the_request_could_not_and_keeps_the_tombstone_until_then(
    app: Flask, folder: Path, people: People
) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    # No folder can be made in the place of a file.
    folder.write_text("")
    person = people.add()
    assert person.delete_account().status_code == 200
    sweep_later(app)
    assert tombstones(app) == [person.id]
    folder.unlink()
    sweep_later(app)
    assert tombstones(app) == []
    assert list(deletion_list.read([folder])) == [person.id]


def test_a_line_that_was_cut_off_spoils_no_other(app: Flask, folder: Path) -> None:
    with app.app_context():
        deletion_list.add(1_000, LONG_AGO)
        (path,) = deletion_list.files_in(folder)
        os.truncate(path, path.stat().st_size - 4)
        deletion_list.add(2_000, LONG_AGO)
    assert deletion_list.read([folder]) == {2_000: LONG_AGO}


def test_lists_of_several_machines_are_read_together(app: Flask, folder: Path, tmp_path: Path) -> None:
    with app.app_context():
        deletion_list.add(1_000, LONG_AGO)
    shutil.copytree(folder, tmp_path / "other")
    (tmp_path / "other/2026-03-09.second.csv").write_text("1000,2026-03-09T04:00:00Z\n3000,2026-03-09T04:00:00Z\n")
    (tmp_path / "other/notes.txt").write_text("4000,2026-03-09T04:00:00Z\n")
    earlier = LONG_AGO - timedelta(days=1)
    found = deletion_list.read([folder, tmp_path / "other", tmp_path / "missing"])
    assert found == {1_000: earlier, 3_000: earlier}


def test_old_days_are_removed_when_a_new_one_begins(app: Flask, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, LONG_AGO)
    with app.app_context():
        deletion_list.add(1_000, LONG_AGO)
        clock.advance(days=app.config["DELETION_LIST_DAYS"])
        deletion_list.add(2_000, now())
        assert list(deletion_list.read([folder])) == [1_000, 2_000]
        clock.advance(days=1)
        assert deletion_list.purge() == 1
    assert list(deletion_list.read([folder])) == [2_000]


def find_kept(app: Flask) -> DeletedNumber:
    with app.app_context():
        return db.session.scalars(select(DeletedNumber)).one()


def delete_again(app: Flask, person: Person, deleted_at: datetime) -> bool:
    with app.app_context():
        is_found = repeat_deletion(person.id, deleted_at)
        db.session.remove()
    return is_found


def test_a_repeated_deletion_keeps_what_the_number_keeps_from_its_own_time_on(app: Flask, people: People) -> None:
    person, woman = people.add(), people.woman()
    person.like(woman)
    woman.like(person)
    deleted_at = now().replace(microsecond=0) - timedelta(days=3)
    assert delete_again(app, person, deleted_at)
    assert find_kept(app).deleted_at == deleted_at
    assert woman.friends() == []
    assert not delete_again(app, person, deleted_at)


def test_an_operator_who_was_deleted_after_the_role_was_taken_away_is_deleted_again(app: Flask, people: People) -> None:
    person = people.add()
    with app.app_context():
        grant_role(person.id)
        db.session.remove()
    assert delete_again(app, person, LONG_AGO)
    with app.app_context():
        assert db.session.get(User, person.id) is None
