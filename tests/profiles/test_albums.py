"""Albums and avatars: how many pictures there may be, who sees and deletes them, and when their files are removed."""

import threading
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from swiper.profiles.models import FileRemoval, Upload
from tests.factories import People, Person
from tests.profiles.uploading import files_in, let_time_pass, profile_of, rows, run_task, send_avatar, send_photo

pytestmark = pytest.mark.usefixtures("media")


def test_the_file_of_a_replaced_avatar_is_removed(app: Flask, person: Person, media: Path) -> None:
    send_avatar(person)
    [old] = files_in(media)
    second = send_avatar(person).json["data"]["url"]
    assert profile_of(person)["avatar"] == second
    assert len(rows(app, Upload)) == 1
    run_task(app, "profiles.sweep_files")
    assert old.exists(), "a push that is under way must be allowed to end"
    let_time_pass(app)
    run_task(app, "profiles.sweep_files")
    assert not old.exists()
    assert [f"/media/{file.relative_to(media)}" for file in files_in(media)] == [second]
    assert rows(app, FileRemoval) == []


def test_an_album_takes_nine(person: Person, media: Path) -> None:
    sent = [send_photo(person) for _ in range(9)]
    assert [answer.status_code for answer in sent] == [201] * 9
    assert profile_of(person)["photos"] == [answer.json["data"] for answer in sent]
    full = send_photo(person)
    assert (full.status_code, full.json["code"]) == (422, 1005)
    assert full.json["errors"] == {"photo": ["The album is full."]}
    assert len(files_in(media)) == 9
    assert send_avatar(person).status_code == 201


def test_parallel_uploads_do_not_overfill_the_album(
    app: Flask, person: Person, people: People, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody is to be refused for want of a slot.
    monkeypatch.setitem(app.config, "UPLOADS_AT_ONCE", 5)
    for _ in range(8):
        send_photo(person)
    start = threading.Barrier(5)
    codes: list[int] = []

    def upload() -> None:
        own = Person(person.id, person.phone, people.client_of(person.id))
        start.wait()
        codes.append(send_photo(own).json["code"])

    threads = [threading.Thread(target=upload) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [0, 1005, 1005, 1005, 1005]
    assert len(profile_of(person)["photos"]) == 9
    assert len(files_in(media)) == 9


def test_parallel_avatars_leave_one(
    app: Flask, person: Person, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "UPLOADS_AT_ONCE", 4)
    start = threading.Barrier(4)

    def upload() -> None:
        own = Person(person.id, person.phone, people.client_of(person.id))
        start.wait()
        assert send_avatar(own).status_code == 201

    threads = [threading.Thread(target=upload) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [left] = rows(app, Upload)
    assert profile_of(person)["avatar"] == left.url
    assert len(rows(app, FileRemoval)) == 3


def test_a_photo_is_deleted_with_its_file(app: Flask, person: Person, media: Path) -> None:
    kept, gone = send_photo(person).json["data"], send_photo(person).json["data"]
    assert person.client.delete(f"/api/user/photos/{gone['id']}").json == {"code": 0, "data": {}}
    assert profile_of(person)["photos"] == [kept]
    let_time_pass(app)
    run_task(app, "profiles.sweep_files")
    assert [f"/media/{file.relative_to(media)}" for file in files_in(media)] == [kept["url"]]
    assert person.client.delete(f"/api/user/photos/{gone['id']}").status_code == 404


def test_nobody_deletes_another_s_photo_nor_an_avatar_as_a_photo(person: Person, people: People) -> None:
    photo, avatar = send_photo(person).json["data"], send_avatar(person).json["data"]
    assert people.add().client.delete(f"/api/user/photos/{photo['id']}").json["code"] == 1009
    assert person.client.delete(f"/api/user/photos/{avatar['id']}").json["code"] == 1009
    assert profile_of(person)["photos"] == [photo]
    assert profile_of(person)["avatar"] == avatar["url"]


def test_the_album_is_hidden_from_people_who_are_not_friends(person: Person, people: People) -> None:
    stranger, friend = people.woman(), people.woman()
    photo = send_photo(person).json["data"]
    person.like(friend)
    friend.like(person)

    def album_for(viewer: Person) -> Any:
        return viewer.get(f"/api/user/{person.id}").json["data"]["photos"]

    assert album_for(friend) == [photo]
    assert album_for(stranger) == []
    [listed] = friend.get("/api/social/friends").json["data"]["items"]
    assert listed["photos"] == [photo]
    person.post("/api/user/profile/modify", only_match=False)
    assert album_for(stranger) == [photo]
