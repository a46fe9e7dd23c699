"""The number of tasks that wait at the broker, now and during the last 24 hours."""

import time
from typing import Any, cast

from flask import current_app

from swiper.admin.metrics_buffer import KEPT_SECONDS, Metric, counts_key
from swiper.clock import today
from swiper.extensions import redis

SAMPLES_KEY = "{figures}:queue"
DAY_SECONDS = 86_400
# Redis has no command that sets a field of a hash to the larger of two values.
# KEYS: counts of the day. ARGV: name, value, seconds to keep.
STORE_MAXIMUM = """
if tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0') < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
return 0
"""


def queue_lengths() -> dict[str, int]:
    """By name of the queue: how many tasks no worker has taken yet. Raises kombu's errors if the broker is away.

    A declaration works with all brokers of kombu. RabbitMQ answers with its own count; for Redis, kombu reads the
    length of the list.
    """
    celery = current_app.extensions["celery"]
    with celery.connection_for_read() as connection:
        return {queue.name: _length(connection, queue) for queue in celery.conf.task_queues}


def _length(connection: Any, queue: Any) -> int:
    # As a worker declares it. kombu 5.7 finds no queue by a passive declaration where the site has a name: it asks for
    # the key without its prefix.
    with connection.channel() as channel:
        found = channel.queue_declare(
            queue=queue.name, durable=queue.durable, auto_delete=queue.auto_delete, arguments=queue.queue_arguments
        )
        return int(found.message_count)


def sample_queue() -> int:
    """Store and return how many tasks wait now. Redis keeps the samples of 24 hours, and the maximum of each day."""
    length, moment = sum(queue_lengths().values()), int(time.time())
    key = redis.key(SAMPLES_KEY)
    redis.client.zadd(key, {f"{moment}:{length}": moment})
    redis.client.zremrangebyscore(key, 0, moment - DAY_SECONDS)
    redis.client.expire(key, KEPT_SECONDS)
    redis.client.eval(STORE_MAXIMUM, 1, counts_key(today()), Metric.QUEUE_PEAK.value, length, KEPT_SECONDS)
    return length


def queue_samples() -> dict[str, list[int]]:
    """The samples of the last 24 hours, the oldest first: `times` in seconds since 1970, and `lengths`."""
    since = int(time.time()) - DAY_SECONDS
    found = cast(list[bytes], redis.client.zrangebyscore(redis.key(SAMPLES_KEY), since, "+inf"))
    pairs = [tuple(map(int, member.decode().split(":"))) for member in found]
    return {"times": [moment for moment, _ in pairs], "lengths": [length for _, length in pairs]}
