"""With SEVERAL_MACHINES, which share no folder, an upload is in the object store before it is answered."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from swiper.profiles.models import FileRemoval, Upload
from swiper.storage import StorageError
from tests.factories import Person
from tests.profiles.uploading import (
    FakeStore,
    files_in,
    let_time_pass,
    profile_of,
    rows,
    run_task,
    send_avatar,
    send_photo,
)

pytestmark = pytest.mark.usefixtures("media")


@pytest.fixture(autouse=True)
def several(app: Flask, store: FakeStore) -> Iterator[None]:
    app.config["SEVERAL_MACHINES"] = True
    yield
    app.config["SEVERAL_MACHINES"] = False


@pytest.mark.parametrize("send", [send_avatar, send_photo])
def test_an_upload_is_shown_from_the_store_at_once_and_needs_no_disk(
    app: Flask, person: Person, store: FakeStore, media: Path, send: Any
) -> None:
    told = send(person).json["data"]
    [(key, data)] = store.files.items()
    assert told["url"] == store.url(key)
    assert data.startswith(b"\xff\xd8")
    assert files_in(media) == []
    profile = profile_of(person)
    assert store.url(key) in (profile["avatar"], *(photo["url"] for photo in profile["photos"]))
    [upload] = rows(app, Upload)
    assert upload.is_pushed
    assert rows(app, FileRemoval) == []
    # No machine has anything to push.
    let_time_pass(app)
    run_task(app, "profiles.sweep_files")
    assert list(store.files) == [key]


def test_a_store_that_is_down_refuses_the_upload_and_changes_nothing(
    app: Flask, person: Person, store: FakeStore, media: Path
) -> None:
    first = send_avatar(person).json["data"]
    store.is_down = True
    answer = send_avatar(person)
    assert (answer.status_code, answer.json["code"]) == (503, 1011)
    assert profile_of(person)["avatar"] == first["url"]
    assert len(rows(app, Upload)) == 1
    assert files_in(media) == []
    store.is_down = False
    let_time_pass(app)
    run_task(app, "profiles.sweep_files")
    assert [store.url(key) for key in store.files] == [first["url"]]
    assert rows(app, FileRemoval) == []


def test_what_the_store_has_got_of_a_refused_upload_is_removed_there(
    app: Flask, person: Person, store: FakeStore
) -> None:
    for _ in range(9):
        send_photo(person)
    assert send_photo(person).json["code"] == 1005
    assert len(store.files) == 10
    let_time_pass(app)
    run_task(app, "profiles.sweep_files")
    assert len(store.files) == 9
    assert rows(app, FileRemoval) == []


def test_an_avatar_that_is_replaced_is_removed_from_the_store(app: Flask, person: Person, store: FakeStore) -> None:
    send_avatar(person)
    second = send_avatar(person).json["data"]
    let_time_pass(app)
    run_task(app, "profiles.sweep_files")
    assert [store.url(key) for key in store.files] == [second["url"]]


def test_a_worker_that_cannot_have_the_file_says_what_to_set(
    app: Flask, person: Person, store: FakeStore, media: Path
) -> None:
    app.config["SEVERAL_MACHINES"] = False
    photo = send_photo(person).json["data"]
    for path in files_in(media):
        path.unlink()
    with pytest.raises(StorageError, match=r"the file is not on this machine: .* set SEVERAL_MACHINES"):
        run_task(app, "profiles.push_upload", person.id, int(photo["id"]))
