"""The one Celery instance, built from the application: each task runs in an app context with a session of its own."""

import logging
import time
import warnings
from typing import Any

from celery import Celery, Task, current_app, signals
from celery.exceptions import Ignore, SecurityWarning
from flask import Flask
from redis.exceptions import RedisError

from config.schedule import BEAT_SCHEDULE
from swiper.http.responses import in_short, is_outage
from swiper.logs import request_id_var
from swiper.tasks.heartbeat import Part, write_heartbeat
from swiper.tasks.servers import broker_settings, queue_settings, result_settings

log = logging.getLogger(__name__)

HEADER = "swiper_request_id"
HEARTBEAT = "tasks.heartbeat"
SENT_AT = "swiper_sent_at"
CONFIRM_SECONDS = 2.0
QUEUE = "celery"
# Codes have their own queue, so a code never waits for a thousand other tasks. Every worker serves both queues in turn.
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
                # The work is recorded in the database, where a sweep finds it.
                log.warning("%s is left for later: %s", self.name, in_short(error))
                raise Ignore() from error

        def apply_async(self, *args: Any, **options: Any) -> Any:
            # A broker that confirms messages may be frozen.
            return super().apply_async(*args, **{"confirm_timeout": CONFIRM_SECONDS} | options)

    celery = Celery(app.name, task_cls=AppTask)
    celery.conf.update(celery_settings(app.config))
    # Celery itself reads the variable CELERY_RESULT_BACKEND, and so would not get what it means here.
    celery.backend_cls = result_settings(app.config)["result_backend"]
    celery.set_default()
    app.extensions["celery"] = celery
    # Receivers of Celery's signals run outside of an app context.
    celery.flask_app = app
    return celery


def celery_settings(config: Any) -> dict[str, Any]:
    """Return Celery's settings for the application's settings `config`."""
    return {
        **broker_settings(config),
        **result_settings(config),
        **queue_settings((QUEUE, CODES_QUEUE), config["CELERY_QUEUE_TYPE"]),
        "broker_connection_retry_on_startup": True,
        # No limit. By default a worker ends itself after 45 minutes without a broker.
        "broker_connection_max_retries": None,
        # A broker may answer but refuse (a failover, full memory). The worker then connects again and does not end.
        "broker_channel_error_retry": True,
        # A request never waits for a broker that cannot be reached. The sweeps find its work in the database.
        "task_publish_retry": False,
        "broker_connection_timeout": 1.0,
        "redis_socket_timeout": 2.0,
        "redis_socket_connect_timeout": 1.0,
        "result_expires": 3600,
        # By default each thread makes its own backend. Under gevent each request would do so, which takes 1 ms.
        "result_backend_thread_safe": True,
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_time_limit": 600,
        "task_routes": {
            name: {"queue": CODES_QUEUE} for name in ("auth.send_code", "auth.send_codes", "auth.sweep_codes")
        },
        # Tasks mostly wait for other servers. With prefork on two cores, two hanging providers would stop all tasks.
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
    """Do nothing. Celery does not change the application's logging if this signal has a receiver."""


@signals.before_task_publish.connect
def send_request_id(headers: dict[str, Any], **_: Any) -> None:
    """Add the id of the current request to the headers of the task."""
    headers[HEADER] = request_id_var.get()


@signals.before_task_publish.connect(sender=HEARTBEAT)
def write_heartbeat_of_beat(headers: dict[str, Any], **_: Any) -> None:
    """Show that beat runs, since it alone sends this task, and add the time of sending."""
    headers[SENT_AT] = time.time()
    try:
        with current_app.flask_app.app_context():
            write_heartbeat(Part.BEAT)
    except RedisError as error:
        log.warning("beat cannot write its heartbeat: %s", type(error).__name__)


@signals.celeryd_init.connect
def silence_root_warning(**_: Any) -> None:
    """Silence Celery's warning about root and pickle. Our worker takes JSON only, and containers often run as root."""
    warnings.simplefilter("ignore", SecurityWarning)


@signals.task_prerun.connect
def take_request_id(task: Task, task_id: str, **_: Any) -> None:
    """Let the log lines of a task show the request's id, or the task's own id if beat has started it."""
    request_id = getattr(task.request, HEADER, None)
    request_id_var.set(request_id if request_id and request_id != "-" else f"task-{task_id[:8]}")


@signals.task_postrun.connect
def drop_request_id(**_: Any) -> None:
    """Clear the id, since the thread will run another task."""
    request_id_var.set("-")
