"""Pushes pictures to the object store, and removes files that nobody needs any more; both run in tasks."""

import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from flask import current_app

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.profiles.models import UploadKind
from swiper.profiles.queries import uploads as queries
from swiper.profiles.queries.people import lock_user
from swiper.profiles.uploads import show_changed
from swiper.storage import StorageError, object_store
from swiper.storage.files import JPEG, remove_local

# An upload, push or removal that is not done after this time has lost its process or task.
LOST_AFTER_SECONDS = 60
# The prefix of a note that only the local file must be removed, because the picture is shown from the store.
LOCAL_COPY = "local/"

T = TypeVar("T")


def push_upload(uid: int, upload_id: int) -> None:
    """Push one picture to the object store, then show it from there. Safe to repeat. Raises StorageError."""
    upload = queries.get_upload(uid, upload_id)
    if upload is None or upload.is_pushed:
        return
    object_store().put(upload.key, _read_local(upload.key), JPEG)
    if show_pushed(uid, upload_id, upload.key, object_store().url(upload.key)):
        _remove_local(upload.key)
        _drop_removal(LOCAL_COPY + upload.key)


@transactional
def show_pushed(uid: int, upload_id: int, key: str, url: str) -> bool:
    """Show a picture from the store. Return False, and note the file to be removed, if there is no upload any more."""
    user, upload = lock_user(uid), queries.get_upload(uid, upload_id)
    if user is None or upload is None:
        # Replaced or deleted during the push. The file may have been removed before the push ended, so note it again.
        queries.insert_removals([key], now())
        return False
    upload.url, upload.is_pushed = url, True
    if upload.kind is UploadKind.AVATAR:
        user.avatar = url
    queries.insert_removals([LOCAL_COPY + key], now())
    show_changed(user)
    return True


def remove_file(noted: str) -> None:
    """Remove the file of a note, locally and from the store, then the note. Raises StorageError.

    Does nothing if the note is gone or another process has just claimed it.
    """
    if not _claim_removal(noted):
        return
    key = noted.removeprefix(LOCAL_COPY)
    _remove_local(key)
    if key == noted:
        object_store().delete(key)
    _drop_removal(noted)


def _read_local(key: str) -> bytes:
    path: Path = current_app.config["MEDIA_DIR"] / key
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise StorageError(
            "the file is not on this machine: let all machines share the folder of pictures, or set SEVERAL_MACHINES"
        ) from None
    except OSError as error:
        raise StorageError(f"local read: {type(error).__name__}") from error


def _remove_local(key: str) -> None:
    try:
        remove_local(current_app.config["MEDIA_DIR"], key)
    except OSError as error:
        raise StorageError(f"local delete: {type(error).__name__}") from error


@transactional
def _claim_removal(noted: str) -> bool:
    """Renew the note's time, so that a slow upload does not find its own note, and other sweeps leave it alone."""
    return queries.renew_removal(noted, _lost_before(), now())


@transactional
def _drop_removal(noted: str) -> None:
    queries.delete_removal(noted)


def unpushed_uploads() -> list[tuple[int, int]]:
    """`(uid, id)` of uploads whose own push was lost."""
    return _shuffled(queries.list_unpushed(_lost_before()))


def pending_removals() -> list[str]:
    """Notes of files to remove. They are some time old, so that an upload or a push that still runs can end first."""
    return _shuffled(queries.list_removals(_lost_before()))


def _lost_before() -> datetime:
    return now() - timedelta(seconds=LOST_AFTER_SECONDS)


def _shuffled(items: list[T]) -> list[T]:
    """`items` in random order, so that those that fail each time do not keep the others from their turn."""
    return random.sample(items, len(items))
