"""Celery tasks that send codes and look after uploads."""

import logging

from celery import Task, shared_task

from swiper.auth import codes, uploads
from swiper.sms import SmsError
from swiper.storage import StorageError
from swiper.tasking import only_one, while_time_lasts

log = logging.getLogger(__name__)


@shared_task(name="auth.send_code", bind=True, max_retries=5, ignore_result=True)
def send_code(self: Task, outbox_id: int) -> None:
    """Send one waiting code. Its argument is a row's id, so neither number nor code passes through the broker."""
    try:
        codes.deliver_code(outbox_id)
    except SmsError as error:
        raise self.retry(exc=error, countdown=2 ** (self.request.retries + 1)) from error


@shared_task(name="auth.sweep_codes")
def sweep_codes() -> None:
    """Send the codes whose own task was lost."""
    with only_one("sweep_codes") as is_ours:
        for outbox_id in while_time_lasts(codes.unsent_codes() if is_ours else ()):
            try:
                codes.deliver_code(outbox_id)
            except SmsError as error:
                log.error("a waiting code could not be sent: %s", error)


@shared_task(name="auth.purge_codes")
def purge_codes() -> None:
    """Delete the codes that have run out unsent."""
    codes.purge_outbox()


@shared_task(name="auth.push_upload", bind=True, max_retries=5, ignore_result=True)
def push_upload(self: Task, uid: int, upload_id: int) -> None:
    """Push one picture to the object store."""
    try:
        uploads.push_upload(uid, upload_id)
    except StorageError as error:
        raise self.retry(exc=error, countdown=2 ** (self.request.retries + 1)) from error


@shared_task(name="auth.sweep_files")
def sweep_files() -> None:
    """Push what is still local, remove what nobody needs."""
    with only_one("sweep_files") as is_ours:
        if not is_ours:
            return
        for uid, upload_id in while_time_lasts(uploads.unpushed_uploads()):
            try:
                uploads.push_upload(uid, upload_id)
            except StorageError as error:
                log.error("an upload could not be pushed: %s", error)
        for key in while_time_lasts(uploads.pending_removals()):
            try:
                uploads.remove_file(key)
            except StorageError as error:
                log.error("a file could not be removed: %s", error)
