"""Limits how many pictures of one user are decoded or wait for it at a time, in all processes together.

A worker decodes one picture at a time. Without this limit, a user who sends forty at once makes all others wait.
"""

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from swiper.errors import RateLimitedError
from swiper.extensions import redis, this_app

log = logging.getLogger(__name__)

# A slot of a killed process becomes free after this time.
LEASE_MS = 60_000
RETRY_SECONDS = 1
# KEYS: slots. ARGV: token, lease in ms, limit. Returns 1 when the token has a slot, otherwise 0. Safe to repeat.
TAKE = """
local clock = redis.call('TIME')
local moment = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, moment)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], moment + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""


@contextmanager
def upload_slot(uid: int) -> Iterator[None]:
    """Hold one of the user's `UPLOADS_AT_ONCE` slots. Raises RateLimitedError if all are taken."""
    key, token = redis.key(f"{{u:{uid}}}:uploading"), secrets.token_hex(8)
    if not redis.client.eval(TAKE, 1, key, token, LEASE_MS, this_app().config["UPLOADS_AT_ONCE"]):
        raise RateLimitedError(RETRY_SECONDS)
    try:
        yield
    finally:
        _free(key, token)


def _free(key: str, token: str) -> None:
    """Free a slot. If Redis fails, the slot becomes free when its lease ends, and the upload still succeeds."""
    try:
        redis.client.zrem(key, token)
    except RedisError as error:
        log.warning("an upload's slot becomes free only at the end of its lease: %s", type(error).__name__)
