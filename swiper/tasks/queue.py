"""Queues work of requests that have committed already, and runs the sweeps that find lost work."""

import logging
import math
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from celery import Task
from gevent.monkey import is_module_patched

from swiper.extensions import redis, this_app
from swiper.logs import request_id_var
from swiper.outages import is_broker_outage
from swiper.tallies import Tally, tallies
from swiper.tasks.batcher import batcher_of

log = logging.getLogger(__name__)

T = TypeVar("T")

# Batched work waits this long. An SMS takes much longer, and on a busy site many requests share one message to Celery.
GATHER_SECONDS = 0.1
REPR_LENGTH = 200
# A sweep ends after this time and continues at its next turn, so a hanging provider cannot occupy the workers.
SWEEP_SECONDS = 30.0
# A sweep that has not renewed its lease for this time counts as dead. It does so for each item, which takes less time.
LEASE_SECONDS = 20.0
# After this number of faults a turn ends: their cause is something else, such as the database.
MOST_FAULTS = 20
# A sweep keeps its counts of failures for this time after the last failure.
FAILURES_SECONDS = 3600
# KEYS: lease. ARGV: token, ms. Each script may be sent again, and does nothing if another process has the lease.
TAKE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
"""
RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
GIVE_BACK = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 0"


def enqueue(task: Task, *args: Any, delay_seconds: float = 0) -> None:
    """Queue `task`, to run after the delay. This never raises: if the broker fails, a sweep finds the work."""
    try:
        # RabbitMQ holds tasks back for whole seconds.
        countdown = math.ceil(delay_seconds) or None
        # These texts show the arguments to people. Celery's own conversion is slow for many ids.
        task.apply_async(args=args, countdown=countdown, argsrepr=repr(args)[:REPR_LENGTH], kwargsrepr="{}")
    except Exception as error:
        # The caller has committed, and the work is recorded in the database. No error here may reach the caller.
        if is_broker_outage(error):
            log.warning("%s waits for the sweep: the broker is away (%s)", task.name, type(error).__name__)
        else:
            log.exception("%s waits for the sweep: a fault in queueing it", task.name)


def enqueue_batched(one: Task, many: Task, item: int) -> None:
    """Queue `one(item)`, or `many` with pairs of item and request id if more items come within GATHER_SECONDS.

    Queueing a task costs a gevent worker more than most views do. `many` queues `one` for each item in a process where
    no request waits. If the web worker is killed, its items are lost here, and a sweep of beat finds them.
    """
    if not is_module_patched("socket"):
        enqueue(one, item)
        return
    batcher = batcher_of(this_app(), one.name, list[tuple[int, str]], lambda items: _enqueue_batch(one, many, items))
    batcher.content.append((item, request_id_var.get()))
    batcher.plan(GATHER_SECONDS)


def _enqueue_batch(one: Task, many: Task, items: list[tuple[int, str]]) -> None:
    if len(items) > 1:
        enqueue(many, items)
    else:
        request_id_var.set(items[0][1])
        enqueue(one, items[0][0])


def enqueue_each(task: Task, items: Iterable[tuple[int, str]]) -> None:
    """Queue `task` for each item, with the request id of its pair."""
    for item, request_id in items:
        request_id_var.set(request_id)
        enqueue(task, item)


class Turn:
    """A process's right to sweep alone, by a lease that the sweep renews. It is false if another process has it."""

    def __init__(self, name: str, lease_seconds: float) -> None:
        """Take the lease of `name`, unless another process has it."""
        self.name = name
        self.key, self.token = redis.key(f"alone:{name}"), secrets.token_hex(8)
        self.lease_ms = int(lease_seconds * 1000)
        self.deadline = time.monotonic() + SWEEP_SECONDS
        self.is_ours = bool(redis.client.eval(TAKE, 1, self.key, self.token, self.lease_ms))

    def __bool__(self) -> bool:
        return self.is_ours

    def goes_on(self) -> bool:
        """Renew the lease. Return False if the sweep must end: its time is over, or another process has the lease."""
        if not self.is_ours or time.monotonic() > self.deadline:
            return False
        self.is_ours = bool(redis.client.eval(RENEW, 1, self.key, self.token, self.lease_ms))
        if not self.is_ours:
            log.warning("%s has lost its turn and stops", self.name)
        return self.is_ours

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items until the sweep must end."""
        for item in items:
            if not self.goes_on():
                return
            yield item

    def give_back(self) -> None:
        """Release the lease."""
        redis.client.eval(GIVE_BACK, 1, self.key, self.token)


@contextmanager
def only_one(name: str, lease_seconds: float = LEASE_SECONDS) -> Iterator[Turn]:
    """Yield a turn that is true in one process at a time. Where it is false, the caller skips its work."""
    turn = Turn(name, lease_seconds)
    try:
        yield turn
    finally:
        if turn:
            turn.give_back()


def sweep(
    name: str,
    find: Callable[[], Iterable[tuple[Any, ...]]],
    work: Callable[..., Any],
    failure: type[Exception] | tuple[type[Exception], ...] = (),
    lease_seconds: float = LEASE_SECONDS,
) -> None:
    """Call `work` with each item that `find` returns, in one process at a time, until SWEEP_SECONDS are over.

    An item that fails is logged and tried at the next turn, after the items that have failed less often. So an item
    that always fails does not stop the others. `failure` has the errors that a provider may cause. Other errors are
    faults of ours.
    """
    with only_one(name, lease_seconds) as turn:
        if not turn:
            return
        failures = _failures(name)
        failed = 0
        # `sorted` keeps the order of `find` for items that have failed equally often.
        for item in turn.each(sorted(find(), key=lambda item: failures.get(repr(item), 0))):
            try:
                work(*item)
            except Exception as error:
                is_expected = isinstance(error, failure)
                log.error("%s leaves something for its next turn: %s", name, error, exc_info=not is_expected)
                _note_failure(name, item)
                failed += not is_expected
                tallies[f"{Tally.SWEPT}{name}:failed"] += 1
                if failed >= MOST_FAULTS:
                    log.error("%s ends this turn after %d faults", name, failed)
                    return
            else:
                tallies[f"{Tally.SWEPT}{name}:done"] += 1
                if repr(item) in failures:
                    redis.client.hdel(_failures_key(name), repr(item))


def _failures_key(name: str) -> str:
    return redis.key(f"failed:{name}")


def _failures(name: str) -> dict[str, int]:
    """Return the number of failures of each item."""
    found = cast(dict[bytes, bytes], redis.client.hgetall(_failures_key(name)))
    return {item.decode(): int(count) for item, count in found.items()}


def _note_failure(name: str, item: tuple[Any, ...]) -> None:
    redis.client.hincrby(_failures_key(name), repr(item), 1)
    redis.client.expire(_failures_key(name), FAILURES_SECONDS)
