"""Avatars and albums: stored at once, pushed by a task, removed when nobody needs them, nothing left of a bad file."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from PIL import ExifTags, Image
from sqlalchemy import select, update

from swiper.auth.models import FileRemoval, Upload
from swiper.dialect import now
from swiper.extensions import db
from swiper.storage import ObjectStore, StorageError
from tests.factories import People, Person


class FakeStore(ObjectStore):
    """A remote store in memory, which can be told to fail."""

    name = "fake"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.files: dict[str, bytes] = {}
        self.is_down = False

    def put(self, key: str, path: Path, content_type: str) -> None:
        if self.is_down:
            raise StorageError("down")
        assert content_type == "image/jpeg"
        self.files[key] = path.read_bytes()

    def delete(self, key: str) -> None:
        if self.is_down:
            raise StorageError("down")
        self.files.pop(key, None)

    def url(self, key: str) -> str:
        return f"https://cdn.example/{key}"


@pytest.fixture
def store(app: Flask) -> Iterator[FakeStore]:
    """The application with a remote store in the place of the local one."""
    former, fake = app.extensions["storage"], FakeStore(app.config)
    app.extensions["storage"] = fake
    yield fake
    app.extensions["storage"] = former


@pytest.fixture(autouse=True)
def media(app: Flask) -> Path:
    """The media folder, empty."""
    folder: Path = app.config["MEDIA_DIR"]
    for file in files_in(folder):
        file.unlink()
    return folder


@pytest.fixture
def person(people: People) -> Person:
    return people.add()


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def picture(kind: str = "JPEG", **options: Any) -> bytes:
    output = BytesIO()
    Image.new("RGB", (40, 30), "red").save(output, kind, **options)
    return output.getvalue()


def send(person: Person, path: str, field: str, data: bytes, name: str = "me.jpg") -> Any:
    return person.client.post(path, data={field: (BytesIO(data), name)}, content_type="multipart/form-data")


def send_avatar(person: Person, data: bytes | None = None) -> Any:
    return send(person, "/api/user/avatar/upload", "avatar", picture() if data is None else data)


def send_photo(person: Person, data: bytes | None = None) -> Any:
    return send(person, "/api/user/photos", "photo", picture() if data is None else data)


def profile_of(person: Person) -> dict[str, Any]:
    data: dict[str, Any] = person.get("/api/user/profile").json["data"]
    return data


def run_task(app: Flask, name: str, *args: Any) -> Any:
    return app.extensions["celery"].tasks[name](*args)


def let_time_pass(app: Flask) -> None:
    """Makes every waiting push and removal older than the sweep's delay."""
    with app.app_context():
        past = now() - timedelta(minutes=5)
        db.session.execute(update(FileRemoval).values(created_at=past))
        db.session.execute(update(Upload).values(created_at=past))
        db.session.commit()


def rows(app: Flask, model: Any) -> list[Any]:
    with app.app_context():
        return list(db.session.scalars(select(model)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_avatar_is_stored_and_shown_at_once(person: Person, media: Path, kind: str) -> None:
    answer = send_avatar(person, picture(kind))
    assert (answer.status_code, answer.json["code"]) == (201, 0)
    url = answer.json["data"]["url"]
    assert profile_of(person)["avatar"] == url
    [file] = files_in(media)
    assert url == f"/media/{file.relative_to(media)}"
    shown = person.get(url)
    assert shown.mimetype == "image/jpeg"
    assert shown.get_data() == file.read_bytes()
    shown.close()


def test_nothing_but_pixels_is_kept(person: Person, media: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SpyCam"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (31.0, 13.0, 49.0)
    data = picture(exif=exif, comment=b"my address")
    assert b"SpyCam" in data
    send_avatar(person, data)
    [file] = files_in(media)
    assert b"SpyCam" not in file.read_bytes()
    assert b"my address" not in file.read_bytes()
    with Image.open(file) as image:
        assert dict(image.getexif()) == {}


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", picture("GIF"), picture("BMP"), picture()[:200]],
    ids=["empty", "text", "svg", "gif", "bmp", "cut off"],
)
@pytest.mark.parametrize("kind", ["avatar", "photo"])
def test_a_wrong_file_is_refused_and_leaves_nothing(
    app: Flask, person: Person, media: Path, data: bytes, kind: str
) -> None:
    answer = send_avatar(person, data) if kind == "avatar" else send_photo(person, data)
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    assert answer.json["errors"] == {kind: ["Not an image that we can read."]}
    assert files_in(media) == []
    assert rows(app, Upload) == []
    assert profile_of(person)["avatar"] == ""


def test_too_many_pixels_are_refused(person: Person, media: Path) -> None:
    output = BytesIO()
    Image.new("1", (6000, 6000)).save(output, "PNG")
    answer = send_avatar(person, output.getvalue())
    assert answer.json["errors"] == {"avatar": ["The image has too many pixels."]}
    assert files_in(media) == []


def test_too_many_bytes_are_refused(person: Person, media: Path) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="avatar"; filename="a.jpg"\r\n\r\n'
    body = head + b"\xff" * (11 * 1024 * 1024) + b"\r\n--x--\r\n"
    answer = person.client.post("/api/user/avatar/upload", data=body, content_type="multipart/form-data; boundary=x")
    assert (answer.status_code, answer.json["code"]) == (413, 1005)
    assert files_in(media) == []


@pytest.mark.parametrize("path", ["/api/user/avatar/upload", "/api/user/photos"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"json": {}},
        {"data": {"note": ""}, "content_type": "application/x-www-form-urlencoded"},
        {"data": {}, "content_type": "multipart/form-data"},
    ],
    ids=["no body", "json", "form", "empty multipart"],
)
def test_a_missing_file_has_a_code_of_its_own(person: Person, path: str, body: dict[str, Any]) -> None:
    answer = person.client.post(path, **body)
    assert (answer.status_code, answer.json["code"]) == (400, 1003)


@pytest.mark.parametrize(("path", "field"), [("/api/user/avatar/upload", "avatar"), ("/api/user/photos", "photo")])
def test_a_file_field_left_empty_is_a_missing_file(person: Person, path: str, field: str) -> None:
    # What a browser sends when nothing was chosen: a part with an empty file name.
    body = (
        f'--x\r\nContent-Disposition: form-data; name="{field}"; filename=""\r\n'
        "Content-Type: application/octet-stream\r\n\r\n\r\n--x--\r\n"
    )
    answer = person.client.post(path, data=body.encode(), content_type="multipart/form-data; boundary=x")
    assert (answer.status_code, answer.json["code"]) == (400, 1003)


def test_text_in_the_place_of_a_file_is_refused(person: Person, media: Path) -> None:
    answer = person.client.post("/api/user/photos", data={"photo": "text"}, content_type="multipart/form-data")
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    assert list(answer.json["errors"]) == ["photo"]
    assert files_in(media) == []


def test_a_file_under_another_name_is_a_missing_file(person: Person, media: Path) -> None:
    answer = send(person, "/api/user/avatar/upload", "photo", picture())
    assert (answer.status_code, answer.json["code"]) == (400, 1003)
    assert files_in(media) == []


def test_an_unknown_field_beside_the_file_is_refused(person: Person, media: Path) -> None:
    for extra in ({"note": "x"}, {"photo": (BytesIO(picture()), "b.jpg")}):
        data = {"avatar": (BytesIO(picture()), "a.jpg")} | extra
        answer = person.client.post("/api/user/avatar/upload", data=data, content_type="multipart/form-data")
        assert (answer.status_code, answer.json["code"]) == (422, 1005)
        assert answer.json["errors"] == {next(iter(extra)): ["Unknown field."]}
    assert files_in(media) == []


def test_two_files_at_once_are_refused(person: Person, media: Path) -> None:
    files = {"avatar": [(BytesIO(picture()), "a.jpg"), (BytesIO(picture()), "b.jpg")]}
    answer = person.client.post("/api/user/avatar/upload", data=files, content_type="multipart/form-data")
    assert answer.json["code"] == 1005
    assert files_in(media) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\x00.jpg", "头像.jpg", "x" * 300, ".htaccess"])
def test_the_sender_s_file_name_names_nothing(person: Person, media: Path, name: str) -> None:
    assert send(person, "/api/user/photos", "photo", picture(), name).status_code == 201
    [file] = files_in(media)
    assert len(file.stem) == 32
    assert file.suffix == ".jpg"


def test_the_file_of_a_replaced_avatar_is_removed(app: Flask, person: Person, media: Path) -> None:
    send_avatar(person)
    [old] = files_in(media)
    second = send_avatar(person).json["data"]["url"]
    assert profile_of(person)["avatar"] == second
    assert len(rows(app, Upload)) == 1
    run_task(app, "auth.sweep_files")
    assert old.exists(), "a push that is under way must be allowed to end"
    let_time_pass(app)
    run_task(app, "auth.sweep_files")
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


def test_parallel_uploads_do_not_overfill_the_album(person: Person, people: People, media: Path) -> None:
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


def test_parallel_avatars_leave_one(app: Flask, person: Person, people: People) -> None:
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
    run_task(app, "auth.sweep_files")
    assert [f"/media/{file.relative_to(media)}" for file in files_in(media)] == [kept["url"]]
    assert person.client.delete(f"/api/user/photos/{gone['id']}").status_code == 404


def test_nobody_deletes_another_s_photo_nor_an_avatar_as_a_photo(person: Person, people: People) -> None:
    photo, avatar = send_photo(person).json["data"], send_avatar(person).json["data"]
    assert people.add().client.delete(f"/api/user/photos/{photo['id']}").json["code"] == 1009
    assert person.client.delete(f"/api/user/photos/{avatar['id']}").json["code"] == 1009
    assert profile_of(person)["photos"] == [photo]
    assert profile_of(person)["avatar"] == avatar["url"]


def test_a_photo_is_pushed_to_a_remote_store(app: Flask, person: Person, store: FakeStore, media: Path) -> None:
    photo = send_photo(person).json["data"]
    assert photo["url"].startswith("/media/")
    data = files_in(media)[0].read_bytes()
    run_task(app, "auth.push_upload", person.id, int(photo["id"]))
    [(key, pushed)] = store.files.items()
    assert pushed == data
    assert profile_of(person)["photos"] == [{"id": photo["id"], "url": f"https://cdn.example/{key}"}]
    assert files_in(media) == []
    run_task(app, "auth.push_upload", person.id, int(photo["id"]))
    assert len(store.files) == 1


def test_the_address_in_the_store_ends_up_in_avatar(app: Flask, person: Person, store: FakeStore) -> None:
    avatar = send_avatar(person).json["data"]
    assert profile_of(person)["avatar"] == avatar["url"]
    run_task(app, "auth.push_upload", person.id, int(avatar["id"]))
    assert profile_of(person)["avatar"].startswith("https://cdn.example/")


def test_the_sweep_pushes_what_a_store_that_was_down_refused(app: Flask, person: Person, store: FakeStore) -> None:
    store.is_down = True
    avatar = send_avatar(person).json["data"]
    with pytest.raises(StorageError):
        run_task(app, "auth.push_upload", person.id, int(avatar["id"]))
    let_time_pass(app)
    run_task(app, "auth.sweep_files")
    assert profile_of(person)["avatar"] == avatar["url"]
    store.is_down = False
    run_task(app, "auth.sweep_files")
    assert profile_of(person)["avatar"].startswith("https://cdn.example/")


def test_a_pushed_file_is_removed_from_the_store(app: Flask, person: Person, store: FakeStore) -> None:
    photo = send_photo(person).json["data"]
    run_task(app, "auth.push_upload", person.id, int(photo["id"]))
    person.client.delete(f"/api/user/photos/{photo['id']}")
    let_time_pass(app)
    store.is_down = True
    run_task(app, "auth.sweep_files")
    assert len(store.files) == 1
    assert len(rows(app, FileRemoval)) == 1
    store.is_down = False
    run_task(app, "auth.sweep_files")
    assert store.files == {}
    assert rows(app, FileRemoval) == []


def test_an_avatar_replaced_while_it_is_pushed_does_not_come_back(
    app: Flask, person: Person, store: FakeStore, media: Path
) -> None:
    first = send_avatar(person).json["data"]
    second: list[Any] = []
    put = store.put

    def put_slowly(key: str, path: Path, content_type: str) -> None:
        put(key, path, content_type)
        if not second:
            second.append(send_avatar(person).json["data"])

    store.put = put_slowly  # type: ignore[method-assign]
    run_task(app, "auth.push_upload", person.id, int(first["id"]))
    assert profile_of(person)["avatar"] == second[0]["url"]
    let_time_pass(app)
    run_task(app, "auth.sweep_files")
    assert len(store.files) == 1
    assert profile_of(person)["avatar"] == store.url(next(iter(store.files)))
    assert files_in(media) == []


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


def test_uploads_of_one_hour_are_limited(app: Flask, person: Person, people: People, media: Path) -> None:
    app.config["UPLOADS_PER_USER_PER_HOUR"] = 2
    try:
        assert [send_avatar(person).json["code"] for _ in range(3)] == [0, 0, 1006]
        assert send_photo(people.add()).json["code"] == 0
    finally:
        app.config["UPLOADS_PER_USER_PER_HOUR"] = 60


@pytest.mark.parametrize(
    "key", ["../swiper.db", "..%2fswiper.db", "%2e%2e/secret-key", "/etc/passwd", "", "a%00b", "x" * 5000, "%ff"]
)
def test_the_media_folder_is_not_left(client: Any, key: str) -> None:
    answer = client.get(f"/media/{key}")
    assert answer.status_code in (404, 308)
    assert b"SQLite" not in answer.get_data()
