"""Periodic tasks of the operator's desk."""

from celery import shared_task

from swiper.admin import metrics, queues
from swiper.tasks.queue import only_one


@shared_task(name="admin.store_metrics")
def store_metrics() -> int:
    """Sample the queue and store the metrics by day; returns how many days were stored, 0 if another worker does it."""
    with only_one("store_metrics") as is_first:
        if not is_first:
            return 0
        queues.sample_queue()
        return metrics.store_metrics()
