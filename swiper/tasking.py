"""Handing work to Celery from a request that has already committed."""

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from celery import Task

from swiper.extensions import redis

log = logging.getLogger(__name__)

T = TypeVar("T")

# A sweep ends after this time and goes on at its next turn, so that a provider that hangs cannot keep the workers.
SWEEP_SECONDS = 30.0
LOCK_SECONDS = 120
UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 0"


def enqueue(task: Task, *args: Any) -> None:
    """Queue `task`. Where the broker is away the beat's sweep finds the work in the database, so this never fails."""
    try:
        task.apply_async(args=args)
    except Exception as error:
        # Broker libraries raise errors of many families; the work itself is safe in the database.
        log.warning("%s waits for the sweep: the broker is away (%s)", task.name, type(error).__name__)


@contextmanager
def only_one(name: str) -> Iterator[bool]:
    """True inside for one process at a time; the others skip their turn."""
    key, token = f"alone:{name}", secrets.token_hex(8)
    is_ours = bool(redis.client.set(key, token, nx=True, ex=LOCK_SECONDS))
    try:
        yield is_ours
    finally:
        if is_ours:
            redis.client.eval(UNLOCK, 1, key, token)


def while_time_lasts(items: Iterable[T]) -> Iterator[T]:
    """`items`, until `SWEEP_SECONDS` have passed."""
    deadline = time.monotonic() + SWEEP_SECONDS
    for item in items:
        if time.monotonic() > deadline:
            return
        yield item


def try_each(
    work: Callable[..., Any], items: Iterable[tuple[Any, ...]], failure: type[Exception], complaint: str
) -> None:
    """Call `work` with each item while the sweep's time lasts; an item that meets `failure` waits for the next turn."""
    for item in while_time_lasts(items):
        try:
            work(*item)
        except failure as error:
            log.error("%s: %s", complaint, error)
