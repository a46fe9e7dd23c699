"""The task that runs backfills."""

from celery import shared_task

from swiper.backfills.services import due_backfills, work_on
from swiper.tasks.queue import sweep


@shared_task(name="backfills.run")
def run_backfills() -> None:
    """Go on with each backfill that has not finished, for a few seconds."""
    sweep("backfills", due_backfills, work_on)
