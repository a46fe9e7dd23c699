"""Avatars and albums: stored at once, pushed by a task, removed when nobody needs them, nothing left of a bad file."""

import itertools
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from PIL import ExifTags, Image
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from config.settings import ROOT, Settings
from swiper.clock import now
from swiper.extensions import db
from swiper.profiles import upload_pushes, uploads
from swiper.profiles.models import FileRemoval, Upload
from swiper.profiles.upload_pushes import LOST_AFTER_SECONDS
from swiper.storage import ObjectStore, StorageError
from tests.factories import Clock, People, Person
from tests.processes import environment_of
from tests.profiles.dying_upload import FolderStore


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


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_nothing_but_pixels_is_kept(person: Person, media: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SpyCam"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (31.0, 13.0, 49.0)
    data = picture(kind, exif=exif, comment=b"my address")
    assert b"SpyCam" in data
    send_avatar(person, data)
    [file] = files_in(media)
    assert b"SpyCam" not in file.read_bytes()
    assert b"my address" not in file.read_bytes()
    with Image.open(file) as image:
        assert dict(image.getexif()) == {}
        assert image.getexif().get_ifd(ExifTags.IFD.GPSInfo) == {}


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_photo_is_taken_whole(person: Person, media: Path, kind: str) -> None:
    """Of 2 to 4 MB: it arrives in many pieces, and any byte may stand at the end of one."""
    noise = Image.frombytes("RGB", (1200, 1000), random.Random(5).randbytes(3_600_000))
    output = BytesIO()
    noise.save(output, kind, quality=97, subsampling=0)
    assert output.tell() > 2_000_000
    head = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
    body = head + output.getvalue() + b"\r\n--x--\r\n"
    answer = person.client.post("/api/user/photos", data=body, content_type="multipart/form-data; boundary=x")
    assert (answer.status_code, answer.json["code"]) == (201, 0)


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
    Image.new("1", (10_001, 10_000)).save(output, "PNG")
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
    [{}, {"data": {}, "content_type": "multipart/form-data"}, {"content_type": "application/json"}],
    ids=["no body", "empty multipart", "no body of another kind"],
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


NAMES = [
    *("../../etc/passwd", "a\x00.jpg", "头像.jpg", "x" * 300, ".htaccess", "/etc/cron.d/x", "..\\..\\x.jpg"),
    *("C:\\x.jpg", "..", ".", "/", " ", "a/../../../x.jpg", "%2e%2e%2fx.jpg", "x.php", "x.svg", "x.jpg.html"),
    *("con.jpg", "~/x", "a\u202egpj.exe", "${IFS}.jpg", "`id`.jpg", "-rf.jpg", "a;b.jpg", "<script>.jpg"),
    "xx/0123456789abcdef0123456789abcdef.jpg",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_sender_s_file_name_names_nothing(app: Flask, person: Person, media: Path, name: str) -> None:
    before = {file for file in files_in(app.config["INSTANCE"]) if media not in file.parents}
    answer = send(person, "/api/user/photos", "photo", picture(), name)
    assert answer.status_code == 201
    [file] = files_in(media)
    assert answer.json["data"]["url"] == f"/media/{file.parent.name}/{file.name}"
    assert re.fullmatch("[0-9a-f]{32}.jpg", file.name)
    assert file.name.startswith(file.parent.name)
    assert {file for file in files_in(app.config["INSTANCE"]) if media not in file.parents} == before


@pytest.mark.parametrize(
    "disposition",
    [
        'filename="a.jpg"; filename="../../x.jpg"',
        "filename*=UTF-8''..%2f..%2fx.jpg",
        'filename="a.jpg"; filename*=UTF-8%2e%2e%2fx.jpg',
        'filename="\\..\\..\\x.jpg"',
        "filename=../../x.jpg",
        'filename="a\r\n b.jpg"',
    ],
)
def test_a_file_name_written_otherwise_names_nothing_either(person: Person, media: Path, disposition: str) -> None:
    head = f'--x\r\nContent-Disposition: form-data; name="photo"; {disposition}\r\n\r\n'.encode()
    body = head + picture() + b"\r\n--x--\r\n"
    answer = person.client.post("/api/user/photos", data=body, content_type="multipart/form-data; boundary=x")
    assert answer.status_code in (201, 400)
    assert [re.fullmatch("[0-9a-f]{32}.jpg", file.name) is not None for file in files_in(media)] == [True] * (
        answer.status_code == 201
    )


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

    def put_slowly(key: str, path: Path, content_type: str) -> None:
        put(key, path, content_type)
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
