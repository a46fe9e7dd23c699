"""The connection to a master that greenlets share, while the master dies or becomes a replica.

Run by `python -m gevent.monkey`, patched like a web worker. The argument is a folder for the servers.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import gevent
from redis import Redis
from redis.exceptions import RedisError

from chaos.redis_groups import MASTER, SentinelGroup
from swiper.extensions import make_client
from swiper.fastpath.redis_client import SentinelSharedRedis
from swiper.outages import is_redis_outage

OPTIONS = {"socket_timeout": 0.3, "socket_connect_timeout": 0.3, "max_connections": 50}
GREENLETS = 10
WRITING_SECONDS, PATIENCE_SECONDS = 6.0, 30.0


def write_until_well(client: SentinelSharedRedis, name: str) -> tuple[int, list[str]]:
    """Write numbers for WRITING_SECONDS, and on until all is well. Return the last one, and errors of another kind."""
    number, faults, failed_at = 0, [], 0.0
    started = time.monotonic()
    while time.monotonic() < max(started + WRITING_SECONDS, min(failed_at + 1, started + PATIENCE_SECONDS)):
        try:
            client.set(name, number + 1)
            number += 1
        except RedisError as error:
            failed_at = time.monotonic()
            faults += [] if is_redis_outage(error) else [repr(error)]
        gevent.sleep(0.01)
    return number, faults


def survive(client: SentinelSharedRedis, blow: Callable[[], None]) -> None:
    """Do `blow` while greenlets write. All of them must be answered again, and nothing else than outages be told."""
    writers = [gevent.spawn(write_until_well, client, f"{{w:{number}}}") for number in range(GREENLETS)]
    gevent.sleep(0.5)
    started = time.monotonic()
    blow()
    for number, writer in enumerate(writers):
        last, faults = writer.get(timeout=PATIENCE_SECONDS + 10)
        assert not faults, faults
        assert client.get(f"{{w:{number}}}") == b"%d" % last
    seconds = time.monotonic() - started
    assert seconds < PATIENCE_SECONDS, seconds


def demote(group: SentinelGroup) -> None:
    """Let the Sentinels make another server the master, while the former one lives."""
    with Redis(port=group.sentinels[0].port) as sentinel:
        sentinel.execute_command("SENTINEL FAILOVER", MASTER)


BLOWS: dict[str, Callable[[SentinelGroup], None]] = {
    "demoted": demote,
    "killed": lambda group: group.master().kill(),
    "frozen": lambda group: group.master().freeze(),
}


def main() -> None:
    """Print the name of each check that has passed."""
    with SentinelGroup(Path(sys.argv[1])) as group:
        client = make_client(group.url, OPTIONS, is_shared=True)
        assert isinstance(client, SentinelSharedRedis)
        assert len({client.client_id() for _ in range(3)}) == 1
        for name, blow in BLOWS.items():
            before = group.master()
            survive(client, partial(blow, group))
            assert group.master() is not before
            print(name)


if __name__ == "__main__":
    main()
