"""Which files are accepted as pictures and how they are stored, and what is refused and leaves nothing."""

import random
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from PIL import ExifTags, Image

from swiper.profiles.models import Upload
from tests.factories import People, Person
from tests.profiles.uploading import files_in, picture, profile_of, rows, send, send_avatar, send_photo

pytestmark = pytest.mark.usefixtures("media")


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
