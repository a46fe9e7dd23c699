"""Handing work to Celery from a request that has already committed."""

import logging
from typing import Any

from celery import Task

log = logging.getLogger(__name__)


def enqueue(task: Task, *args: Any) -> None:
    """Queue `task`. Where the broker is away the beat's sweep finds the work in the database, so this never fails."""
    try:
        task.apply_async(args=args)
    except Exception as error:
        # Broker libraries raise errors of many families; the work itself is safe in the database.
        log.warning("%s waits for the sweep: the broker is away (%s)", task.name, type(error).__name__)
