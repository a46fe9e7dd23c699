"""Celery tasks that send codes, and delete those that have run out."""

import logging

from celery import Task, shared_task

from swiper.auth import codes
from swiper.sms import SmsError
from swiper.tasks.queue import enqueue_each, sweep

log = logging.getLogger(__name__)


@shared_task(name="auth.send_code", bind=True, max_retries=5, ignore_result=True)
def send_code(self: Task, outbox_id: int) -> None:
    """Send one waiting code. Its argument is a row's id, so neither number nor code passes through the broker."""
    try:
        codes.deliver_code(outbox_id)
    except SmsError as error:
        raise self.retry(exc=error, countdown=2 ** (self.request.retries + 1)) from error


@shared_task(name="auth.send_codes", ignore_result=True)
def send_codes(outbox_ids: list[tuple[int, str]]) -> None:
    """Give each of several codes (row and request id) a task of its own: one provider's delay is not theirs."""
    enqueue_each(send_code, outbox_ids)


@shared_task(name="auth.sweep_codes")
def sweep_codes() -> None:
    """Send the codes whose own task was lost."""
    sweep("sweep_codes", lambda: zip(codes.unsent_codes()), codes.deliver_code, SmsError, codes.claim_seconds())


@shared_task(name="auth.purge_codes")
def purge_codes() -> None:
    """Delete the codes that have run out unsent."""
    codes.purge_outbox()
