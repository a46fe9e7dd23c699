"""Pictures are pushed to the object store by a task, and files that nobody needs any more are removed."""

import random
from datetime import datetime, timedelta
from typing import TypeVar

from flask import current_app
from sqlalchemy import delete, select, update

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.db.upsert import changed_a_row, insert_if_absent
from swiper.extensions import db
from swiper.profiles.models import FileRemoval, Upload, UploadKind
from swiper.profiles.uploads import lock_user, show_changed
from swiper.storage import StorageError, object_store
from swiper.storage.files import remove_local

JPEG = "image/jpeg"
# An upload, push or removal that is still undone after this time has lost its process or task.
LOST_AFTER_SECONDS = 60
BATCH = 1_000
# What a note begins with when only the local file has to go, because the picture is shown from the store.
LOCAL_COPY = "local/"

T = TypeVar("T")


def push_upload(uid: int, upload_id: int) -> None:
    """Push one picture to the object store, then show it from there. Safe to repeat. Raises StorageError."""
    upload = db.session.get(Upload, (uid, upload_id), populate_existing=True)
    if upload is None or upload.is_pushed:
        return
    object_store().put(upload.key, current_app.config["MEDIA_DIR"] / upload.key, JPEG)
    if _show_pushed(uid, upload_id, upload.key, object_store().url(upload.key)):
        _remove_local(upload.key)
        _drop_removal(LOCAL_COPY + upload.key)


@transactional
def _show_pushed(uid: int, upload_id: int, key: str, url: str) -> bool:
    user = lock_user(uid)
    upload = db.session.get(Upload, (uid, upload_id), populate_existing=True)
    if user is None or upload is None:
        # Replaced or deleted while it was pushed; the removal may have run before the push ended.
        insert_if_absent(FileRemoval, [{"key": key, "created_at": now()}], ["key"])
        return False
    upload.url, upload.is_pushed = url, True
    if upload.kind is UploadKind.AVATAR:
        user.avatar = url
    insert_if_absent(FileRemoval, [{"key": LOCAL_COPY + key, "created_at": now()}], ["key"])
    show_changed(user)
    return True


def remove_file(noted: str) -> None:
    """Remove a file that nobody needs, locally and from the store, then its note. Raises StorageError.

    Does nothing where the note is gone or somebody has just turned to it.
    """
    if not _claim_removal(noted):
        return
    key = noted.removeprefix(LOCAL_COPY)
    _remove_local(key)
    if key == noted:
        object_store().delete(key)
    _drop_removal(noted)


def _remove_local(key: str) -> None:
    try:
        remove_local(current_app.config["MEDIA_DIR"], key)
    except OSError as error:
        raise StorageError(f"local delete: {type(error).__name__}") from error


@transactional
def _claim_removal(noted: str) -> bool:
    """Renew the note, so that an upload still under way does not find its own one, and other sweeps wait."""
    waiting = update(FileRemoval).where(FileRemoval.key == noted, FileRemoval.created_at < _lost_before())
    return changed_a_row(waiting.values(created_at=now()))


@transactional
def _drop_removal(noted: str) -> None:
    db.session.execute(delete(FileRemoval).where(FileRemoval.key == noted))


def unpushed_uploads() -> list[tuple[int, int]]:
    """`(uid, id)` of uploads whose own push was lost."""
    query = select(Upload.uid, Upload.id).where(Upload.is_pushed.is_(False), Upload.created_at < _lost_before())
    query = query.limit(BATCH).execution_options(everywhere="The sweep looks for uploads of anybody.")
    return _mixed([(uid, upload_id) for uid, upload_id in db.session.execute(query)])


def pending_removals() -> list[str]:
    """Notes of files to remove; a short delay lets an upload or a push that is under way end first."""
    query = select(FileRemoval.key).where(FileRemoval.created_at < _lost_before())
    query = query.limit(BATCH).execution_options(everywhere="The sweep looks for notes of any file.")
    return _mixed(list(db.session.scalars(query)))


def _lost_before() -> datetime:
    return now() - timedelta(seconds=LOST_AFTER_SECONDS)


def _mixed(items: list[T]) -> list[T]:
    """`items` in any order, so that what fails each time starves nobody behind it."""
    return random.sample(items, len(items))
