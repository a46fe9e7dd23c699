"""Pictures are pushed to the object store by a task, and removed from it by the sweep."""

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from swiper.profiles.models import FileRemoval
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


def test_a_photo_is_pushed_to_a_remote_store(app: Flask, person: Person, store: FakeStore, media: Path) -> None:
    photo = send_photo(person).json["data"]
    assert photo["url"].startswith("/media/")
    data = files_in(media)[0].read_bytes()
    run_task(app, "profiles.push_upload", person.id, int(photo["id"]))
    [(key, pushed)] = store.files.items()
    assert pushed == data
    assert profile_of(person)["photos"] == [{"id": photo["id"], "url": f"https://cdn.example/{key}"}]
    assert files_in(media) == []
    run_task(app, "profiles.push_upload", person.id, int(photo["id"]))
    assert len(store.files) == 1


def test_the_address_in_the_store_ends_up_in_avatar(app: Flask, person: Person, store: FakeStore) -> None:
    avatar = send_avatar(person).json["data"]
    assert profile_of(person)["avatar"] == avatar["url"]
    run_task(app, "profiles.push_upload", person.id, int(avatar["id"]))
    assert profile_of(person)["avatar"].startswith("https://cdn.example/")


def test_the_sweep_pushes_what_a_store_that_was_down_refused(app: Flask, person: Person, store: FakeStore) -> None:
    store.is_down = True
    avatar = send_avatar(person).json["data"]
    with pytest.raises(StorageError):
        run_task(app, "profiles.push_upload", person.id, int(avatar["id"]))
    let_time_pass(app)
    run_task(app, "profiles.sweep_files")
    assert profile_of(person)["avatar"] == avatar["url"]
    store.is_down = False
    run_task(app, "profiles.sweep_files")
    assert profile_of(person)["avatar"].startswith("https://cdn.example/")


def test_a_pushed_file_is_removed_from_the_store(app: Flask, person: Person, store: FakeStore) -> None:
    photo = send_photo(person).json["data"]
    run_task(app, "profiles.push_upload", person.id, int(photo["id"]))
    person.client.delete(f"/api/user/photos/{photo['id']}")
    let_time_pass(app)
    store.is_down = True
    run_task(app, "profiles.sweep_files")
    assert len(store.files) == 1
    assert len(rows(app, FileRemoval)) == 1
    store.is_down = False
    let_time_pass(app)
    run_task(app, "profiles.sweep_files")
    assert store.files == {}
    assert rows(app, FileRemoval) == []


def test_an_avatar_replaced_while_it_is_pushed_does_not_come_back(
    app: Flask, person: Person, store: FakeStore, media: Path
) -> None:
    first = send_avatar(person).json["data"]
    second: list[Any] = []
    put = store.put

    def put_slowly(key: str, data: bytes, content_type: str) -> None:
        put(key, data, content_type)
        if not second:
            second.append(send_avatar(person).json["data"])

    store.put = put_slowly  # type: ignore[method-assign]
    run_task(app, "profiles.push_upload", person.id, int(first["id"]))
    assert profile_of(person)["avatar"] == second[0]["url"]
    let_time_pass(app)
    run_task(app, "profiles.sweep_files")
    assert len(store.files) == 1
    assert profile_of(person)["avatar"] == store.url(next(iter(store.files)))
    assert files_in(media) == []
