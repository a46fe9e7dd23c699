"""Periodic work of the operator's desk."""

from celery import shared_task

from swiper.admin import metrics, queues
from swiper.tasks.queue import only_one


@shared_task(name="desk.keep_figures")
def keep_figures() -> int:
    """Sample the queue, and write down the figures by day; how many days were written."""
    with only_one("keep_figures") as turn:
        if not turn:
            return 0
        queues.sample_queue()
        return metrics.keep_figures()
