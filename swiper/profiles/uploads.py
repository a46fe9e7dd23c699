"""Pictures: cleaned and stored locally at once, pushed to the object store by a task, removed when replaced.

With SEVERAL_MACHINES the web process hands them to the store instead, and nothing is stored locally.
"""

import logging
import threading
from datetime import datetime
from typing import Any, cast

from flask import current_app
from gevent import get_hub
from gevent.monkey import is_module_patched
from sqlalchemy.exc import SQLAlchemyError

from swiper.cache.invalidations import ACCOUNT, invalidate_after_commit
from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.errors import LoginError, NotFoundError, ParamError, UnavailableError
from swiper.ids import new_id
from swiper.profiles.cards import refresh_discovery_row
from swiper.profiles.models import Upload, UploadKind, User
from swiper.profiles.queries import uploads as queries
from swiper.profiles.queries.people import lock_user
from swiper.profiles.upload_slots import upload_slot
from swiper.storage import StorageError, is_handed_over_at_once, local_url, object_store
from swiper.storage.files import JPEG, new_key, remove_local, save_file
from swiper.storage.images import clean_image

log = logging.getLogger(__name__)
ALBUM_SIZE = 9
# Only one picture is decoded at a time, since its pixels may take `UPLOAD_MEMORY_BYTES`.
_decoding = threading.Semaphore()


def add_upload(uid: int, kind: UploadKind, data: bytes) -> Upload:
    """Clean and store a picture, and show it from its local address until it is pushed, or at once from the store.

    Before the file is written, a note is committed that it must be removed. The transaction that inserts the upload
    deletes the note, so the sweep removes the file of a process that was killed in between.

    Raises ParamError for a file that is no picture and for a full album, RateLimitedError while too many other uploads
    of the user are being processed, UnavailableError if disk, store or database fails. Nothing is left behind then.
    """
    config = current_app.config
    limits = {"max_pixels": config["UPLOAD_MAX_PIXELS"], "max_bytes": config["UPLOAD_MEMORY_BYTES"]}
    with upload_slot(uid):
        picture = _clean(data, field=kind.value, **limits)
    key, noted_at = new_key(), now()
    _note_file(key, noted_at)
    try:
        if is_handed_over_at_once():
            _hand_over(key, picture)
        return _store(uid, kind, key, noted_at, picture)
    except BaseException:
        _give_up(uid, key)
        raise


def _clean(data: bytes, **limits: Any) -> bytes:
    """See `clean_image`. In a gevent worker it runs in a thread, so that other requests are served meanwhile."""
    with _decoding:
        if is_module_patched("socket"):
            return cast(bytes, get_hub().threadpool.apply(clean_image, (data,), limits))
        return clean_image(data, **limits)


@transactional
def _note_file(key: str, noted_at: datetime) -> None:
    queries.insert_removals([key], noted_at)


def _hand_over(key: str, picture: bytes) -> None:
    """Give a picture to the object store, while no connection to the database is held."""
    try:
        object_store().put(key, picture, JPEG)
    except StorageError as error:
        log.warning("an upload is refused: %s", error)
        raise UnavailableError() from error


@transactional
def _store(uid: int, kind: UploadKind, key: str, noted_at: datetime, picture: bytes) -> Upload:
    user = lock_user(uid)
    if user is None:
        raise LoginError()
    stored = queries.find_upload(uid, key)
    if stored:
        # An earlier attempt was committed, but the connection was lost before the database confirmed it.
        show_changed(user)
        return stored
    is_local = not is_handed_over_at_once()
    url = local_url(key) if is_local else object_store().url(key)
    if kind is UploadKind.AVATAR:
        _delete_uploads(uid, kind)
        user.avatar = url
    elif queries.count_photos(uid) >= ALBUM_SIZE:
        raise ParamError("The album is full.", errors={kind.value: ["The album is full."]})
    # The deleted note stays locked until the commit. Only the transaction with this lock writes or removes the file.
    if not queries.delete_removal(key, noted_at):
        # The sweep has claimed the note.
        raise UnavailableError()
    if is_local:
        save_file(current_app.config["MEDIA_DIR"], picture, key)
    upload = Upload(
        uid=uid,
        id=new_id(),
        kind=kind,
        key=key,
        url=url,
        is_pushed=not (is_local and object_store().is_remote),
        created_at=now(),
    )
    queries.insert_upload(upload)
    show_changed(user)
    return upload


def show_changed(user: User) -> None:
    """Show changed pictures to decks and to the user once they are committed. The caller has locked the user's row."""
    refresh_discovery_row(user)
    invalidate_after_commit(user.id, ACCOUNT)


def _give_up(uid: int, key: str) -> None:
    """Remove the file of a failed upload, unless its row was committed after all. The sweep does it if this fails."""
    try:
        _drop_file(uid, key)
    except (OSError, SQLAlchemyError) as error:
        log.warning("the sweep will remove the file of a failed upload: %s", type(error).__name__)


@transactional
def _drop_file(uid: int, key: str) -> None:
    # This waits for a commit that still runs after its connection was lost, because that transaction locks the note.
    queries.delete_removal(key)
    if queries.find_upload(uid, key):
        return
    remove_local(current_app.config["MEDIA_DIR"], key)
    if is_handed_over_at_once():
        # The store may have it, or get it after all. The sweep removes it there.
        queries.insert_removals([key], now())


@transactional
def delete_photo(uid: int, photo_id: int) -> None:
    """Delete a photo of the user's album. Raises NotFoundError."""
    user = lock_user(uid)
    if user is None or not _delete_uploads(uid, UploadKind.PHOTO, photo_id):
        raise NotFoundError()
    show_changed(user)


def _delete_uploads(uid: int, kind: UploadKind, upload_id: int | None = None) -> bool:
    """Delete a user's uploads of a kind or the one with this id, and note their files; False if there is none."""
    keys = queries.delete_uploads(uid, kind, upload_id)
    queries.insert_removals(keys, now())
    return bool(keys)
