"""SQL of uploads, and of notes that a file must be removed."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, delete, func, or_, select, update

from swiper.db.upsert import changed_a_row, insert_if_absent
from swiper.extensions import db
from swiper.profiles.models import FileRemoval, Upload, UploadKind

# The most rows that one sweep takes.
BATCH = 1_000


class StoredPicture(NamedTuple):
    """Whose picture it is, its id, the key of its file, and if the object store has it."""

    uid: int
    id: int
    key: str
    is_pushed: bool


def get_upload(uid: int, upload_id: int) -> Upload | None:
    """An upload as it is stored now."""
    return db.session.get(Upload, (uid, upload_id), populate_existing=True)


def find_upload(uid: int, key: str) -> Upload | None:
    """The upload of a user whose file has this key."""
    return db.session.scalar(select(Upload).where(Upload.uid == uid, Upload.key == key))


def list_keys(uid: int) -> Sequence[str]:
    """Keys of all files of a user."""
    return db.session.scalars(select(Upload.key).where(Upload.uid == uid)).all()


def count_photos(uid: int) -> int:
    """How many photos a user's album has."""
    query = select(func.count()).where(Upload.uid == uid, Upload.kind == UploadKind.PHOTO)
    return db.session.scalar(query) or 0


def insert_upload(upload: Upload) -> None:
    """Insert an upload; it is written with the caller's next statement."""
    db.session.add(upload)


def delete_uploads(uid: int, kind: UploadKind, upload_id: int | None = None) -> list[str]:
    """Delete a user's uploads of one kind, or the one with this id; returns the keys of their files."""
    query = select(Upload).where(Upload.uid == uid, Upload.kind == kind)
    found = db.session.scalars(query if upload_id is None else query.where(Upload.id == upload_id)).all()
    for upload in found:
        db.session.execute(delete(Upload).where(Upload.uid == uid, Upload.id == upload.id))
    return [upload.key for upload in found]


def list_unpushed(created_before: datetime) -> list[tuple[int, int]]:
    """`(uid, id)` of uploads from before a moment that are not in the object store yet."""
    query = select(Upload.uid, Upload.id).where(Upload.is_pushed.is_(False), Upload.created_at < created_before)
    query = query.limit(BATCH).execution_options(everywhere="The sweep looks for uploads of anybody.")
    return [(uid, upload_id) for uid, upload_id in db.session.execute(query)]


def list_pictures(after: tuple[int, int], limit: int) -> list[StoredPicture]:
    """At most `limit` uploads of anybody, in the order of user id and id, behind that pair."""
    uid, upload_id = after
    query = select(Upload.uid, Upload.id, Upload.key, Upload.is_pushed)
    query = query.where(or_(Upload.uid > uid, and_(Upload.uid == uid, Upload.id > upload_id)))
    query = query.order_by(Upload.uid, Upload.id).limit(limit)
    query = query.execution_options(everywhere="A restored backup is compared with all files.")
    return [StoredPicture(*row) for row in db.session.execute(query)]


# --- Notes that a file must be removed ---


def insert_removals(keys: Sequence[str], created_at: datetime) -> None:
    """Insert a note for each key; an existing one stays as it is."""
    if keys:
        insert_if_absent(FileRemoval, [{"key": key, "created_at": created_at} for key in keys], ["key"])


def list_removals(created_before: datetime) -> list[str]:
    """Keys of notes from before a moment."""
    query = select(FileRemoval.key).where(FileRemoval.created_at < created_before)
    query = query.limit(BATCH).execution_options(everywhere="The sweep looks for notes of any file.")
    return list(db.session.scalars(query))


def renew_removal(key: str, created_before: datetime, renewed_at: datetime) -> bool:
    """Set a note's time to `renewed_at`; False where there is none from before `created_before`."""
    waiting = update(FileRemoval).where(FileRemoval.key == key, FileRemoval.created_at < created_before)
    return changed_a_row(waiting.values(created_at=renewed_at))


def delete_removal(key: str, created_at: datetime | None = None) -> bool:
    """Delete a note, or only the one with this time; False where there is none.

    The deleted row stays locked until the transaction ends.
    """
    query = delete(FileRemoval).where(FileRemoval.key == key)
    return changed_a_row(query if created_at is None else query.where(FileRemoval.created_at == created_at))
