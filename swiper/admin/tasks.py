"""Periodic work of the operator's desk."""

from celery import shared_task

from swiper.admin import metrics, queues
from swiper.tasks.queue import only_one


@shared_task(name="admin.store_metrics")
def store_metrics() -> int:
    """Sample the queue, and write down the figures by day; how many days were written."""
    with only_one("store_metrics") as turn:
        if not turn:
            return 0
        queues.sample_queue()
        return metrics.store_metrics()
