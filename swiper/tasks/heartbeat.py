"""Heartbeats: beat and the workers write into Redis that they run. A heartbeat that has expired means that they do not.

Beat queues the task `tasks.heartbeat` for each queue, and writes its own heartbeat at that moment. A worker writes its
heartbeat when it runs the task, together with the time that the task was sent: so the age of a queue is known with any
broker, and no other task has to carry a time.
"""

import time
from collections.abc import Sequence
from enum import StrEnum
from typing import cast

from config.schedule import HEARTBEAT_SECONDS
from swiper.extensions import redis

# Four heartbeats. The restart of a worker takes less.
FRESH_SECONDS = 60
# By queue: when the last heartbeat that a worker has run was sent, and when it ran, in seconds since 1970.
QUEUES_KEY = "heartbeats"
KEPT_SECONDS = 8 * 86_400


class Part(StrEnum):
    """What gives a heartbeat. A worker is any worker."""

    BEAT = "beat"
    WORKER = "worker"


def heartbeat_name(part: Part) -> str:
    """The name of the Redis key that exists while the last heartbeat of a part is fresh."""
    return f"heartbeat:{part}"


def are_fresh() -> Sequence[tuple[str, str]]:
    """Return the commands that ask whether the heartbeats are fresh. The answer to each is 1 or 0."""
    return [("EXISTS", redis.key(heartbeat_name(part))) for part in Part]


def write_heartbeat(part: Part) -> None:
    """Write the heartbeat of a part. Raises RedisError."""
    redis.client.set(redis.key(heartbeat_name(part)), int(time.time()), ex=FRESH_SECONDS)


def write_queue_heartbeat(queue: str, sent_at: float) -> None:
    """Store that a worker runs, now, a heartbeat that was put into `queue` at `sent_at`. Raises RedisError."""
    key = redis.key(QUEUES_KEY)
    redis.client.hset(key, queue, f"{sent_at:.3f} {time.time():.3f}")
    redis.client.expire(key, KEPT_SECONDS)


def queue_ages() -> dict[str, float]:
    """By queue: for how many seconds its oldest heartbeat waits, or how long the last one waited. Raises RedisError.

    While beat is away nothing is sent, so this means something only while the heartbeat of beat is fresh.
    """
    found = cast(dict[bytes, bytes], redis.client.hgetall(redis.key(QUEUES_KEY)))
    return {queue.decode(): _age(times) for queue, times in found.items()}


def _age(times: bytes) -> float:
    sent_at, ran_at = map(float, times.split())
    # The next heartbeat was sent HEARTBEAT_SECONDS after the last one that has run.
    return max(0.0, ran_at - sent_at, time.time() - sent_at - HEARTBEAT_SECONDS)
