"""How tests send pictures, and look at what is stored of them."""

from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from flask import Flask
from PIL import Image
from sqlalchemy import select, update

from swiper.clock import now
from swiper.extensions import db
from swiper.profiles.models import FileRemoval, Upload
from swiper.storage import ObjectStore, StorageError
from tests.factories import Person


class FakeStore(ObjectStore):
    """A remote store in memory, which can be told to fail."""

    name = "fake"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.files: dict[str, bytes] = {}
        self.is_down = False

    def put(self, key: str, data: bytes, content_type: str) -> None:
        if self.is_down:
            raise StorageError("down")
        assert content_type == "image/jpeg"
        self.files[key] = data

    def delete(self, key: str) -> None:
        if self.is_down:
            raise StorageError("down")
        self.files.pop(key, None)

    def url(self, key: str) -> str:
        return f"https://cdn.example/{key}"


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
