"""The task of the heartbeat; see `swiper/tasks/heartbeat.py`."""

from celery import Task, shared_task

from swiper.site_marker import claim_site
from swiper.tasks.celery import SENT_AT
from swiper.tasks.heartbeat import Part, write_heartbeat, write_queue_heartbeat


@shared_task(name="tasks.heartbeat", bind=True)
def heartbeat(self: Task) -> None:
    """Show that a worker runs the tasks of this queue, and that this Redis is this site's."""
    claim_site()
    write_heartbeat(Part.WORKER)
    write_queue_heartbeat(self.request.delivery_info["routing_key"], getattr(self.request, SENT_AT))
