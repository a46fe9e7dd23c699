"""Celery tasks for uploads, suspensions and cached values."""

import logging
from threading import BoundedSemaphore

from celery import Task, shared_task

from swiper.cache import invalidations
from swiper.profiles import suspensions, upload_pushes
from swiper.storage import StorageError
from swiper.tasks.queue import only_one, sweep

log = logging.getLogger(__name__)

# How many threads of a worker may wait for the object store at a time; the others stay free for urgent tasks.
PUSHES_AT_ONCE = 3
_pushing = BoundedSemaphore(PUSHES_AT_ONCE)


@shared_task(name="profiles.push_upload", bind=True, max_retries=5, ignore_result=True)
def push_upload(self: Task, uid: int, upload_id: int) -> None:
    """Push one picture to the object store; try again later if it fails or too many threads wait for the store."""
    try:
        _push_in_turn(uid, upload_id)
    except StorageError as error:
        raise self.retry(exc=error, countdown=2 ** (self.request.retries + 1)) from error


def _push_in_turn(uid: int, upload_id: int) -> None:
    if not _pushing.acquire(blocking=False):
        raise StorageError("too many pushes at a time")
    try:
        upload_pushes.push_upload(uid, upload_id)
    finally:
        _pushing.release()


@shared_task(name="profiles.sweep_files")
def sweep_files() -> None:
    """Push pictures that are still local only, and remove files that nobody needs."""
    sweep("push_files", upload_pushes.unpushed_uploads, upload_pushes.push_upload, StorageError)
    sweep("remove_files", lambda: zip(upload_pushes.pending_removals()), upload_pushes.remove_file, StorageError)


@shared_task(name="profiles.finish_invalidations")
def finish_invalidations() -> None:
    """Remove once more from the cache what was changed some seconds ago."""
    with only_one("finish_invalidations") as turn:
        items = turn.each(invalidations.settled()) if turn else ()
        refused = sum(not invalidations.finish(*item) for item in items)
    if refused:
        log.warning("%d cached values are out of date and cannot be removed yet", refused)


@shared_task(name="profiles.lift_suspensions")
def lift_suspensions() -> None:
    """Admit the people whose suspension has ended."""
    sweep("lift_suspensions", lambda: zip(suspensions.ended_suspensions()), suspensions.lift_if_ended)
