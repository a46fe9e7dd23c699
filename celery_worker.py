"""What Celery runs: `celery -A celery_worker worker` and `celery -A celery_worker beat`."""

import logging
import time
from typing import Any

from celery.worker.consumer import Consumer

from swiper import start_app

log = logging.getLogger(__name__)

# Between two attempts to use a broker that can be reached but refuses; connecting alone would succeed at once.
REFUSED_SECONDS = 1.0


class PatientConsumer(Consumer):  # type: ignore[misc]
    """Connects anew whatever a lost connection to the broker raises; Celery's own ends the worker.

    A channel of kombu 5.7 whose transport was closed under it asks that transport for its address, and meets None: an
    AttributeError instead of an error of the connection. It comes when a task that outlived its connection is
    acknowledged, and when a lost connection is closed for the second time.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `Consumer`."""
        super().__init__(*args, **kwargs)
        self.connection_errors: tuple[type[Exception], ...] = (*self.conninfo.connection_errors, AttributeError)

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        """Drop the lost connection."""
        try:
            super().on_connection_error_after_connected(exc)
        except Exception as error:
            log.warning("the lost connection to the broker could not be closed: %r", error)
            self.connection: Any = None
        self._wait_if_refused(exc)

    def on_connection_error_before_connected(self, exc: BaseException) -> None:
        """Say so, and wait."""
        super().on_connection_error_before_connected(exc)
        self._wait_if_refused(exc)

    def _wait_if_refused(self, exc: BaseException) -> None:
        if isinstance(exc, self.channel_errors):
            time.sleep(REFUSED_SECONDS)


celery = start_app().extensions["celery"]
celery.conf.worker_consumer = PatientConsumer
