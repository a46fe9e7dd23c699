"""The one Celery instance, built from the application: each task runs in an app context with a session of its own."""

import logging
import warnings
from typing import Any

from celery import Celery, Task, signals
from celery.exceptions import Ignore, SecurityWarning
from flask import Flask
from kombu.entity import Queue

from config.schedule import BEAT_SCHEDULE
from swiper.http.responses import in_short, is_outage
from swiper.logs import request_id_var

log = logging.getLogger(__name__)

HEADER = "swiper_request_id"
QUEUE = "celery"
# Of their own, so that a code never stands behind a thousand other tasks. Every worker serves both in turn.
CODES_QUEUE = "celery-codes"


def init_app(app: Flask) -> Celery:
    """Build Celery for `app`; `celery_worker.py` exposes it to the worker and to beat."""

    class AppTask(Task):  # type: ignore[misc]
        """Runs in an app context, whose end closes the task's database session."""

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            try:
                with app.app_context():
                    return self.run(*args, **kwargs)
            except Exception as error:
                if self.request.called_directly or not is_outage(error):
                    raise
                # What it was to do lies in the database, where a sweep finds it.
                log.warning("%s is left for later: %s", self.name, in_short(error))
                raise Ignore() from error

    celery = Celery(app.name, task_cls=AppTask)
    celery.conf.update(celery_settings(app.config))
    celery.set_default()
    app.extensions["celery"] = celery
    return celery


def celery_settings(config: Any) -> dict[str, Any]:
    """Celery's configuration for the application's."""
    quick = {"socket_timeout": 2.0, "socket_connect_timeout": 1.0, "retry_on_timeout": False}
    # kombu would try once more after 2 s, with the request waiting.
    once = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    is_redis = config["CELERY_BROKER_URL"].startswith(("redis", "sentinel"))
    return {
        "broker_url": config["CELERY_BROKER_URL"],
        "result_backend": config["CELERY_RESULT_BACKEND"],
        # A task that its worker took with it to the grave comes back after this many seconds.
        "broker_transport_options": {**once, **(quick if is_redis else {}), "visibility_timeout": 120},
        "broker_connection_retry_on_startup": True,
        # Without end: by default a worker ends itself when the broker has been away for three quarters of an hour.
        "broker_connection_max_retries": None,
        # A broker may answer but refuse (a failover, full memory): the worker then connects anew and does not end.
        "broker_channel_error_retry": True,
        # A request never waits for a broker that is away: the sweeps find its work in the database.
        "task_publish_retry": False,
        "broker_connection_timeout": 1.0,
        "redis_socket_timeout": 2.0,
        "redis_socket_connect_timeout": 1.0,
        "result_expires": 3600,
        # By default each thread makes a backend of its own; under gevent that would be each request, at a millisecond.
        "result_backend_thread_safe": True,
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_time_limit": 600,
        "task_default_queue": QUEUE,
        "task_queues": [Queue(name, routing_key=name) for name in (QUEUE, CODES_QUEUE)],
        "task_routes": {
            name: {"queue": CODES_QUEUE} for name in ("auth.send_code", "auth.send_codes", "auth.sweep_codes")
        },
        # The work is waiting for others. With prefork on two cores, two providers that hang would stop everything.
        "worker_pool": "threads",
        "worker_concurrency": 8,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        "accept_content": ["json"],
        "timezone": config["TIMEZONE"],
        "enable_utc": True,
        "beat_schedule": BEAT_SCHEDULE,
        "beat_schedule_filename": str(config["INSTANCE"] / "celerybeat-schedule"),
    }


@signals.setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """With a receiver here Celery leaves the logging alone that the application has set up."""


@signals.before_task_publish.connect
def send_request_id(headers: dict[str, Any], **_: Any) -> None:
    """A task carries the id of the request that caused it."""
    headers[HEADER] = request_id_var.get()


@signals.celeryd_init.connect
def silence_root_warning(**_: Any) -> None:
    """Celery warns at length about root and pickle; our worker takes JSON only, and containers do run as root."""
    warnings.simplefilter("ignore", SecurityWarning)


@signals.task_prerun.connect
def take_request_id(task: Task, task_id: str, **_: Any) -> None:
    """Log lines of a task show the request's id, or the task's own where beat has started it."""
    request_id = getattr(task.request, HEADER, None)
    request_id_var.set(request_id if request_id and request_id != "-" else f"task-{task_id[:8]}")


@signals.task_postrun.connect
def drop_request_id(**_: Any) -> None:
    """The thread goes on to another task."""
    request_id_var.set("-")
