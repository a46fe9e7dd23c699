"""Makes the files of pictures and the database agree again after a backup was restored."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from flask import current_app

from swiper.db.transactions import transactional
from swiper.extensions import db
from swiper.profiles.models import UploadKind
from swiper.profiles.queries import uploads as queries
from swiper.profiles.queries.people import lock_user
from swiper.profiles.upload_pushes import show_pushed
from swiper.profiles.uploads import show_changed
from swiper.storage import object_store

PAGE = 1_000


class Agreement(NamedTuple):
    """How many files nobody needs and were removed, and how many pictures have no file and were taken away."""

    strays: int
    lost: int


def reconcile_files() -> Agreement:
    """Remove files that no upload names, and uploads whose file is nowhere. Nothing else may run meanwhile.

    A picture that waited for the object store and has no file was pushed while the backup was made, so it is shown from
    there. Raises OSError.
    """
    media: Path = current_app.config["MEDIA_DIR"]
    files = set(_keys_on_disk(media))
    needed: set[str] = set()
    lost = 0
    for upload in _all_uploads():
        if upload.is_pushed and object_store().is_remote:
            continue
        needed.add(upload.key)
        if upload.key in files:
            continue
        if object_store().is_remote:
            show_pushed(upload.uid, upload.id, upload.key, object_store().url(upload.key))
        else:
            _take_away(upload.uid, upload.id)
            lost += 1
    strays = files - needed
    for key in strays:
        (media / key).unlink()
    return Agreement(len(strays), lost)


def _keys_on_disk(media: Path) -> Iterator[str]:
    for folder in media.iterdir():
        if folder.is_dir():
            yield from (f"{folder.name}/{name}" for name in os.listdir(folder))


def _all_uploads() -> Iterator[queries.StoredPicture]:
    last = (0, 0)
    while True:
        page = queries.list_pictures(last, PAGE)
        # The connection is free until the next page is read.
        db.session.rollback()
        yield from page
        if len(page) < PAGE:
            return
        last = (page[-1].uid, page[-1].id)


@transactional
def _take_away(uid: int, upload_id: int) -> None:
    user, upload = lock_user(uid), queries.get_upload(uid, upload_id)
    if user is None or upload is None:
        return
    if upload.kind is UploadKind.AVATAR:
        user.avatar = ""
    queries.delete_uploads(uid, upload.kind, upload_id)
    show_changed(user)
