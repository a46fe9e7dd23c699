"""Uploads and pushes that SIGKILL ends at a chosen step.

`python -m tests.profiles.dying_upload PICTURE STORE_FOLDER` reads lines `UID STEP`, and prints for each the exit
status of the fork that got as far as that.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask

from swiper import create_app
from swiper.extensions import db
from swiper.profiles import upload_pushes, uploads
from swiper.profiles.models import UploadKind
from swiper.storage import ObjectStore


class FolderStore(ObjectStore):
    """A remote store in a folder, so that several processes see the same one."""

    name = "folder"
    folder: Path

    def put(self, key: str, data: bytes, content_type: str) -> None:
        (self.folder / Path(key).name).write_bytes(data)

    def delete(self, key: str) -> None:
        (self.folder / Path(key).name).unlink(missing_ok=True)

    def url(self, key: str) -> str:
        return f"https://cdn.example/{key}"


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(holder: Any, name: str) -> Callable[[], None]:
    return lambda: setattr(holder, name, die)


def after(holder: Any, name: str) -> Callable[[], None]:
    real = getattr(holder, name)

    def run_and_die(*args: Any) -> None:
        real(*args)
        die()

    return lambda: setattr(holder, name, run_and_die)


STEPS: dict[str, Callable[[], None]] = {
    "before the note": before(uploads, "_note_file"),
    "after the note": after(uploads, "_note_file"),
    "before the file": before(uploads, "save_file"),
    "in the file": before(os, "fsync"),
    "before its name": before(os, "replace"),
    "after its name": after(os, "replace"),
    "before the commit": lambda: setattr(uploads, "save_file", save_and_die_at_commit(die)),
    "after the commit": lambda: setattr(uploads, "save_file", save_and_die_at_commit(after_commit)),
    "before the push is told": before(upload_pushes, "show_pushed"),
    "after the push is told": before(upload_pushes, "_remove_local"),
    "before the push ends": before(upload_pushes, "_drop_removal"),
}
real_commit, real_save = db.session.commit, uploads.save_file


def save_and_die_at_commit(commit: Callable[[], None]) -> Callable[..., str]:
    def save(*args: Any) -> str:
        db.session.commit = commit  # type: ignore[method-assign]
        return real_save(*args)

    return save


def after_commit() -> None:
    real_commit()
    die()


def upload(app: Flask, uid: int, picture: bytes, step: str) -> None:
    with app.app_context():
        STEPS[step]()
        made = uploads.add_upload(uid, UploadKind.PHOTO, picture)
        upload_pushes.push_upload(uid, made.id)


def main(picture: bytes, folder: Path) -> None:
    app = create_app()
    FolderStore.folder = folder
    app.extensions["storage"] = FolderStore(app.config)
    for line in sys.stdin:
        # The application has no connection and no thread yet that the fork could share.
        pid = os.fork()
        if pid == 0:
            uid, _, step = line.strip().partition(" ")
            upload(app, int(uid), picture, step)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]))
