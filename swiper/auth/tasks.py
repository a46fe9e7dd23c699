"""Celery tasks that send codes and look after uploads."""

from celery import Task, shared_task

from swiper.auth import codes, uploads
from swiper.sms import SmsError
from swiper.storage import StorageError
from swiper.tasking import only_one, try_each


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
        if is_ours:
            waiting = [(outbox_id,) for outbox_id in codes.unsent_codes()]
            try_each(codes.deliver_code, waiting, SmsError, "a waiting code could not be sent")


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
        if is_ours:
            local = uploads.unpushed_uploads()
            try_each(uploads.push_upload, local, StorageError, "an upload could not be pushed")
            unneeded = [(key,) for key in uploads.pending_removals()]
            try_each(uploads.remove_file, unneeded, StorageError, "a file could not be removed")
