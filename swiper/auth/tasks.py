"""Celery tasks that send codes, and delete expired ones."""

import logging

from celery import Task, shared_task

from swiper.auth import codes
from swiper.sms import SmsError
from swiper.tasks.queue import enqueue_each, sweep

log = logging.getLogger(__name__)


@shared_task(name="auth.send_code", bind=True, max_retries=5, ignore_result=True)
def send_code(self: Task, outbox_id: int) -> None:
    """Send one waiting code. The argument is the id of its row, so the broker sees neither number nor code."""
    try:
        codes.deliver_code(outbox_id)
    except SmsError as error:
        raise self.retry(exc=error, countdown=2 ** (self.request.retries + 1)) from error


@shared_task(name="auth.send_codes", ignore_result=True)
def send_codes(outbox_ids: list[tuple[int, str]]) -> None:
    """Queue a task for each of several codes (pairs of row and request id), so that they do not delay each other."""
    enqueue_each(send_code, outbox_ids)


@shared_task(name="auth.sweep_codes")
def sweep_codes() -> None:
    """Send the codes whose task was lost."""
    sweep("sweep_codes", lambda: zip(codes.unsent_codes()), codes.deliver_code, SmsError, codes.claim_seconds())


@shared_task(name="auth.purge_codes")
def purge_codes() -> None:
    """Delete the codes that have expired unsent."""
    codes.purge_outbox()
