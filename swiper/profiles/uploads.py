"""Pictures: cleaned and stored locally at once, pushed to the object store by a task, removed when replaced."""

import logging
import threading
from datetime import datetime
from typing import Any, cast

from flask import current_app
from gevent import get_hub
from gevent.monkey import is_module_patched
from sqlalchemy import delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from swiper.cache.invalidations import ACCOUNT, invalidate_after_commit
from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.db.upsert import changed_a_row, insert_if_absent
from swiper.errors import LoginError, NotFoundError, ParamError, UnavailableError
from swiper.extensions import db
from swiper.ids import new_id
from swiper.profiles.cards import refresh_discovery_row
from swiper.profiles.models import FileRemoval, Upload, UploadKind, User
from swiper.profiles.upload_slots import upload_slot
from swiper.storage import local_url, object_store
from swiper.storage.files import new_key, remove_local, save_file
from swiper.storage.images import clean_image

log = logging.getLogger(__name__)
ALBUM_SIZE = 9
# A picture is decoded outside the event loop, and only one at a time: its pixels may take `UPLOAD_MEMORY_BYTES`.
_decoding = threading.Semaphore()


def add_upload(uid: int, kind: UploadKind, data: bytes) -> Upload:
    """Clean and store a picture, and show it from its local address until it is pushed.

    Raises ParamError for what is no picture or a full album, RateLimitedError while too many others of the user are on
    their way, UnavailableError where the disk or the database fails; nothing is left behind then. A note that the file
    has to go stands before the file does, and is taken back together with storing the row: whatever is killed in
    between is removed by the sweep.
    """
    config = current_app.config
    limits = {"max_pixels": config["UPLOAD_MAX_PIXELS"], "max_bytes": config["UPLOAD_MEMORY_BYTES"]}
    with upload_slot(uid):
        picture = _clean(data, field=kind.value, **limits)
    key, noted_at = new_key(), now()
    _note_file(key, noted_at)
    try:
        return _store(uid, kind, key, noted_at, picture)
    except BaseException:
        _give_up(uid, key)
        raise


def _clean(data: bytes, **limits: Any) -> bytes:
    """See `clean_image`; in a gevent worker it runs in a thread, so that other requests go on meanwhile."""
    with _decoding:
        if is_module_patched("socket"):
            return cast(bytes, get_hub().threadpool.apply(clean_image, (data,), limits))
        return clean_image(data, **limits)


@transactional
def _note_file(key: str, noted_at: datetime) -> None:
    insert_if_absent(FileRemoval, [{"key": key, "created_at": noted_at}], ["key"])


@transactional
def _store(uid: int, kind: UploadKind, key: str, noted_at: datetime, picture: bytes) -> Upload:
    user = lock_user(uid)
    if user is None:
        raise LoginError()
    stored = _upload_of(uid, key)
    if stored:
        # The connection was lost when this was committed before, and the commit had passed.
        show_changed(user)
        return stored
    if kind is UploadKind.AVATAR:
        _remove_rows(uid, select(Upload).where(Upload.uid == uid, Upload.kind == kind))
        user.avatar = local_url(key)
    elif _album_size(uid) >= ALBUM_SIZE:
        raise ParamError("The album is full.", errors={kind.value: ["The album is full."]})
    _take_back_note(key, noted_at)
    save_file(current_app.config["MEDIA_DIR"], picture, key)
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
    show_changed(user)
    return upload


def lock_user(uid: int) -> User | None:
    """The user's row, so that changes to their pictures take turns: each makes the card of all that are there."""
    return db.session.get(User, uid, with_for_update=True, populate_existing=True)


def show_changed(user: User) -> None:
    """Let decks, and the user themself, see changed pictures once they are committed."""
    refresh_discovery_row(user)
    invalidate_after_commit(user.id, ACCOUNT)


def _take_back_note(key: str, noted_at: datetime) -> None:
    """Delete the note, and so hold its row until the commit. Raises UnavailableError when the sweep was there before.

    Whoever holds that row may write or remove the file, and nobody else.
    """
    mine = delete(FileRemoval).where(FileRemoval.key == key, FileRemoval.created_at == noted_at)
    if not changed_a_row(mine):
        raise UnavailableError()


def _upload_of(uid: int, key: str) -> Upload | None:
    return db.session.scalar(select(Upload).where(Upload.uid == uid, Upload.key == key))


def _give_up(uid: int, key: str) -> None:
    """Remove the file of an upload that failed, unless its row is there after all; what fails here is swept later."""
    try:
        _drop_file(uid, key)
    except (OSError, SQLAlchemyError) as error:
        log.warning("what a failed upload has left waits for the sweep: %s", type(error).__name__)


@transactional
def _drop_file(uid: int, key: str) -> None:
    # Waits for a commit whose answer was lost and that is still under way, because that one holds the note.
    db.session.execute(delete(FileRemoval).where(FileRemoval.key == key))
    if not _upload_of(uid, key):
        remove_local(current_app.config["MEDIA_DIR"], key)


def _album_size(uid: int) -> int:
    query = select(func.count()).where(Upload.uid == uid, Upload.kind == UploadKind.PHOTO)
    return db.session.scalar(query) or 0


@transactional
def delete_photo(uid: int, photo_id: int) -> None:
    """Take a photo out of the caller's album. Raises NotFoundError."""
    user = lock_user(uid)
    query = select(Upload).where(Upload.uid == uid, Upload.id == photo_id, Upload.kind == UploadKind.PHOTO)
    if user is None or not _remove_rows(uid, query):
        raise NotFoundError()
    show_changed(user)


def _remove_rows(uid: int, query) -> int:  # type: ignore[no-untyped-def]
    """Delete upload rows and note their files for removal, in the running transaction."""
    found = db.session.scalars(query).all()
    for upload in found:
        insert_if_absent(FileRemoval, [{"key": upload.key, "created_at": now()}], ["key"])
        db.session.execute(delete(Upload).where(Upload.uid == uid, Upload.id == upload.id))
    return len(found)
