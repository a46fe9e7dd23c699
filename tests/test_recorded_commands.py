"""Which commands to Redis are recorded since they cross slots, and whose they are said to be."""

from textwrap import indent
from typing import Any

import pytest

from swiper.extensions import cache, redis
from tests.recorded_commands import Crossing, keys_of

ONE, SAME, OTHER = "{u:1}:a", "{u:1}:b", "{u:2}:a"
TRANSACTION = """
with redis.client.pipeline(transaction={}) as pipe:
    for key in {}:
        pipe.set(key, 1)
    pipe.execute()
"""


def send(code: str, module: str = "swiper.feature") -> None:
    """Run `code` in a function of the given module."""
    names: dict[str, Any] = {"__name__": module, "redis": redis, "cache": cache}
    names |= {"ONE": ONE, "SAME": SAME, "OTHER": OTHER}
    exec(f"def work():\n{indent(code, '    ')}", names)
    names["work"]()


def taken(crossing_commands: list[Crossing]) -> list[tuple[str, list[str]]]:
    """What has been recorded; the end of the test finds none of it any more."""
    found = [(each.issuer, [key.removeprefix("cache2:") for key in each.keys]) for each in crossing_commands]
    crossing_commands.clear()
    return found


@pytest.mark.parametrize(
    "code",
    [
        "redis.client.delete(ONE, OTHER)",
        "redis.client.mget(ONE, OTHER)",
        "redis.client.mset({ONE: 1, OTHER: 2})",
        "redis.client.eval('return 1', 2, ONE, OTHER, '{u:3}:argument')",
        TRANSACTION.format(True, "(ONE, OTHER)"),
        "cache.delete_many(ONE, OTHER)",
    ],
)
def test_a_command_with_keys_of_several_slots_is_recorded(
    code: str, context: None, crossing_commands: list[Crossing]
) -> None:
    send(code)
    assert taken(crossing_commands) == [("feature.work", [ONE, OTHER])]


@pytest.mark.parametrize(
    "code",
    [
        "redis.client.delete(ONE, SAME)",
        "redis.client.eval('return 1', 2, ONE, SAME, OTHER)",
        "redis.client.eval_once('return 1', ['sms:all'])",
        "redis.client.execute_together(('SET', ONE, 1), ('SET', OTHER, 1))",
        TRANSACTION.format(True, "(ONE, SAME)"),
        TRANSACTION.format(False, "(ONE, OTHER)"),
        "redis.client.ping()",
    ],
)
def test_what_redis_cluster_takes_is_not_recorded(code: str, context: None, crossing_commands: list[Crossing]) -> None:
    send(code)
    assert taken(crossing_commands) == []


def test_what_a_test_sends_by_itself_is_not_recorded(context: None, crossing_commands: list[Crossing]) -> None:
    redis.client.delete(ONE, OTHER)
    send("redis.client.delete(ONE, OTHER)", module="tests.feature")
    assert taken(crossing_commands) == []


def test_a_command_whose_keys_are_unknown_is_told(context: None) -> None:
    send("redis.client.get(ONE)")
    with pytest.raises(LookupError, match="the keys of ZUNION have no fixed place"):
        keys_of(["ZUNION", 2, ONE, OTHER])
