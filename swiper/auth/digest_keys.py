"""Values in Redis whose keys contain a keyed digest go on when SECRET_KEY changes.

Before such a value is used, it is moved from the key with the digest under a former key to the key with the new digest.
While two releases run, each moves the values to its own keys.
"""

from collections.abc import Iterable
from typing import Any

from swiper.extensions import redis


def move_to_current(keys: Iterable[list[str]]) -> None:
    """Move values to their current keys, unless there is a value already.

    Each list has the possible keys of one value, the current key first. A value is a text or a counter with a time to
    live, which it keeps. The keys may be in different slots of a cluster, so this is no script. Raises RedisError.
    """
    moves = [(former, current) for current, *others in keys for former in others]
    if not moves:
        return
    answers = redis.client.execute_together(
        *[(name, former) for former, _ in moves for name in ("GET", "PTTL")],
    )
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    commands: list[tuple[Any, ...]] = []
    for (former, current), value, lives_ms in zip(moves, answers[::2], answers[1::2], strict=True):
        if value is not None and lives_ms > 0:
            # If two processes do this at once, the second changes nothing.
            commands += [("SET", current, value, "NX", "PX", lives_ms), ("DEL", former)]
    if commands:
        redis.client.execute_together(*commands)
