"""Receivers of signals that count codes, SMS, errors of the cache, and the tasks of workers."""

import time
from typing import Any

from celery import Task, signals
from flask import Flask, current_app

from swiper.admin.metrics_buffer import EXTENSION, Count, Metric, count
from swiper.signals import cache_failed, code_issued, sms_failed, sms_refused, sms_sent
from swiper.tallies import MICRO

# By id: when each task that runs in this process has begun, on the monotonic clock.
_begun: dict[str, float] = {}


def count_code(_sender: Any, **_: Any) -> None:
    """Count a login code that waits to be sent."""
    count(Count.CODES_ASKED)


def count_sms(_sender: Any, *, provider: str) -> None:
    """Count an SMS that a provider accepted, and its price; the console provider is free."""
    count(Metric.SMS_SENT, Count.SENT_BY + provider)
    if provider != "console":
        count(Metric.SMS_COST, by=round(current_app.config.get("SMS_PRICE_YUAN", 0) * MICRO))


def count_refused_sms(_sender: Any, *, provider: str) -> None:
    """Count an SMS that one provider did not accept."""
    count(Count.REFUSED_BY + provider)


def count_failed_sms(_sender: Any) -> None:
    """Count an SMS that no provider accepted; each retry that fails counts again."""
    count(Metric.SMS_FAILED)


def count_cache_error(_sender: Any, *, reason: str) -> None:
    """Count a call of the cache that failed."""
    count(Count.CACHE_ERRORS + reason)


def begin_task(task_id: str, **_: Any) -> None:
    """Store when a task begins."""
    _begun[task_id] = time.monotonic()


def count_task(task: Task, task_id: str, state: str | None = None, **_: Any) -> None:
    """Count a task that has ended by its state, and the time that it took."""
    began = _begun.pop(task_id, None)
    buffer = task.app.flask_app.extensions.get(EXTENSION)
    if began is None or buffer is None:
        return
    buffer.count(f"{Count.TASKS}{task.name}:{(state or 'unknown').lower()}")
    buffer.count(f"{Count.TASK_MICROS}{task.name}", by=int((time.monotonic() - began) * MICRO))


def init_app(_app: Flask) -> None:
    """Connect the receivers. To connect one again changes nothing."""
    code_issued.connect(count_code)
    sms_sent.connect(count_sms)
    sms_refused.connect(count_refused_sms)
    sms_failed.connect(count_failed_sms)
    cache_failed.connect(count_cache_error)
    signals.task_prerun.connect(begin_task)
    signals.task_postrun.connect(count_task)
