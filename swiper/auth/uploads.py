"""Pictures: cleaned and stored locally at once, pushed to the object store by a task, removed when replaced."""

import logging
import random
import threading
from datetime import timedelta
from typing import Any, TypeVar, cast

from flask import current_app
from gevent import get_hub
from gevent.monkey import is_module_patched
from sqlalchemy import delete, func, select

from swiper.auth.models import FileRemoval, Upload, UploadKind, User
from swiper.auth.profiles import forget_account
from swiper.dialect import after_commit, insert_if_absent, now, transactional
from swiper.errors import LoginError, NotFoundError, ParamError
from swiper.extensions import db
from swiper.ids import new_id
from swiper.storage import local_url, object_store
from swiper.storage.files import save_file
from swiper.storage.images import clean_image

log = logging.getLogger(__name__)

ALBUM_SIZE = 9
JPEG = "image/jpeg"
# A push or removal that is still undone after this time has lost its task.
LOST_AFTER_SECONDS = 60
BATCH = 1_000

T = TypeVar("T")
# A picture is decoded outside the event loop, and only one at a time: its pixels may take some 100 MB.
_decoding = threading.Semaphore()


def add_upload(uid: int, kind: UploadKind, data: bytes) -> Upload:
    """Clean and store a picture, and show it from its local address until it is pushed.

    Raises ParamError for what is no picture or a full album; nothing is left behind then.
    """
    config = current_app.config
    picture = _clean(data, max_pixels=config["UPLOAD_MAX_PIXELS"], field=kind.value)
    key = save_file(config["MEDIA_DIR"], picture)
    try:
        return _store_row(uid, kind, key)
    except BaseException:
        (config["MEDIA_DIR"] / key).unlink(missing_ok=True)
        raise


def _clean(data: bytes, **limits: Any) -> bytes:
    """See `clean_image`; in a gevent worker it runs in a thread, so that other requests go on meanwhile."""
    with _decoding:
        if is_module_patched("socket"):
            return cast(bytes, get_hub().threadpool.apply(clean_image, (data,), limits))
        return clean_image(data, **limits)


@transactional
def _store_row(uid: int, kind: UploadKind, key: str) -> Upload:
    user = db.session.get(User, uid, with_for_update=True, populate_existing=True)
    if user is None:
        raise LoginError()
    if kind is UploadKind.AVATAR:
        _remove_rows(uid, select(Upload).where(Upload.uid == uid, Upload.kind == kind))
        user.avatar = local_url(key)
    elif _album_size(uid) >= ALBUM_SIZE:
        raise ParamError("The album is full.", errors={kind.value: ["The album is full."]})
    upload = Upload(
        uid=uid,
        id=new_id(),
        kind=kind,
        key=key,
        url=local_url(key),
        is_pushed=not object_store().is_remote,
        created_at=now(),
    )
    db.session.add(upload)
    after_commit(lambda: forget_account(uid))
    return upload


def _album_size(uid: int) -> int:
    query = select(func.count()).where(Upload.uid == uid, Upload.kind == UploadKind.PHOTO)
    return db.session.scalar(query) or 0


@transactional
def delete_photo(uid: int, photo_id: int) -> None:
    """Take a photo out of the caller's album. Raises NotFoundError."""
    query = select(Upload).where(Upload.uid == uid, Upload.id == photo_id, Upload.kind == UploadKind.PHOTO)
    if not _remove_rows(uid, query):
        raise NotFoundError()
    after_commit(lambda: forget_account(uid))


def _remove_rows(uid: int, query) -> int:  # type: ignore[no-untyped-def]
    """Delete upload rows and note their files for removal, in the running transaction."""
    found = db.session.scalars(query).all()
    for upload in found:
        insert_if_absent(FileRemoval, [{"key": upload.key, "created_at": now()}], ["key"])
        db.session.execute(delete(Upload).where(Upload.uid == uid, Upload.id == upload.id))
    return len(found)


def push_upload(uid: int, upload_id: int) -> None:
    """Push one picture to the object store, then show it from there. Safe to repeat. Raises StorageError."""
    upload = db.session.get(Upload, (uid, upload_id), populate_existing=True)
    if upload is None or upload.is_pushed:
        return
    path = current_app.config["MEDIA_DIR"] / upload.key
    object_store().put(upload.key, path, JPEG)
    if _show_pushed(uid, upload_id, upload.key, object_store().url(upload.key)):
        path.unlink(missing_ok=True)


@transactional
def _show_pushed(uid: int, upload_id: int, key: str, url: str) -> bool:
    user = db.session.get(User, uid, with_for_update=True, populate_existing=True)
    upload = db.session.get(Upload, (uid, upload_id), populate_existing=True)
    if user is None or upload is None:
        # Replaced or deleted while it was pushed; the removal may have run before the push ended.
        insert_if_absent(FileRemoval, [{"key": key, "created_at": now()}], ["key"])
        return False
    upload.url, upload.is_pushed = url, True
    if upload.kind is UploadKind.AVATAR:
        user.avatar = url
    after_commit(lambda: forget_account(uid))
    return True


def remove_file(key: str) -> None:
    """Remove a file that nobody needs, locally and from the store, then its note. Raises StorageError."""
    (current_app.config["MEDIA_DIR"] / key).unlink(missing_ok=True)
    object_store().delete(key)
    _drop_removal(key)


@transactional
def _drop_removal(key: str) -> None:
    db.session.execute(delete(FileRemoval).where(FileRemoval.key == key))


def unpushed_uploads() -> list[tuple[int, int]]:
    """`(uid, id)` of uploads whose own push was lost."""
    limit = now() - timedelta(seconds=LOST_AFTER_SECONDS)
    query = select(Upload.uid, Upload.id).where(Upload.is_pushed.is_(False), Upload.created_at < limit)
    return _mixed([(uid, upload_id) for uid, upload_id in db.session.execute(query.limit(BATCH))])


def pending_removals() -> list[str]:
    """Keys of files to remove; a short delay lets a push that is under way end first."""
    limit = now() - timedelta(seconds=LOST_AFTER_SECONDS)
    return _mixed(list(db.session.scalars(select(FileRemoval.key).where(FileRemoval.created_at < limit).limit(BATCH))))


def _mixed(items: list[T]) -> list[T]:
    """`items` in any order, so that what fails each time starves nobody behind it."""
    return random.sample(items, len(items))
