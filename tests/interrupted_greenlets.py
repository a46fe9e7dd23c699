"""Greenlets that are ended while they wait for a server; run by `python -m gevent.monkey`, patched like a worker.

Arguments: which server, `redis` or `postgres`, and the addresses of database and Redis. Prints `done`.
"""

import sys
from collections.abc import Callable
from typing import Any

import gevent
from flask import Flask
from gevent import Greenlet

from deploy.processes import wait_until
from swiper.extensions import redis
from swiper.fastpath.quick_postgres import QuickLane, Statement
from tests.patched import application

SLEEP = Statement("SELECT pg_sleep(60)::text", str)
ADD = Statement("SELECT $1::int8 + $2::int8", int)


def end_redis(app: Flask) -> None:
    """An answer that nobody waits for any more is given to nobody, and no place is lost; one is beside the line's."""

    def waiting_ones() -> list[dict[str, str]]:
        clients: list[dict[str, str]] = client.client_list()
        return [each for each in clients if each["cmd"] == "blpop"]

    with app.app_context():
        client = redis.client
        for number in range(3):
            waiting = gevent.spawn(client.blpop, "queue")
            wait_until(waiting_ones, 20, "it does not wait")
            waiting.kill()
            wait_until(lambda: not waiting_ones(), 20, "its connection is still open")
            client.rpush("queue", number)
            assert list(client.blpop("queue")) == [b"queue", b"%d" % number]


def in_line(lane: QuickLane, count: int, served: list[int]) -> list[Greenlet]:
    """Greenlets that wait for the lane's only connection, and give it back."""

    def come(number: int) -> None:
        connection = lane.take()
        served.append(number)
        lane.give_back(connection)

    waiting = []
    for number in range(count):
        waiting.append(gevent.spawn(come, number))
        wait_until(lambda number=number: len(lane.waiting) == number + 1, 20, "it does not wait")
    return waiting


def end_postgres(app: Flask) -> None:
    """Whoever is ended gives up what they had or were about to get, and the others go on in their order."""
    lane: QuickLane = app.extensions["quick_lane"]
    asking = gevent.spawn(lane.ask, (SLEEP, ()))
    wait_until(lambda: lane.count == 1 and asking.started and not asking.ready(), 20, "nothing is asked")
    asking.kill()
    wait_until(lambda: lane.count == 0, 20, "its place is not free")
    assert lane.ask((ADD, (1, 2))) == [[(3,)]]
    for is_given in (True, False):
        served: list[int] = []
        held = lane.take()
        waiting = in_line(lane, 4, served)
        waiting[1].kill()
        # The first in line gets it and is ended before they know.
        waiting[0].kill(block=False)
        if is_given:
            lane.give_back(held)
        else:
            lane.give_up(held)
        gevent.joinall(waiting, timeout=20)
        assert served == [2, 3], served
        assert (lane.count, len(lane.idle), len(lane.waiting)) == (1, 1, 0)
    assert lane.ask((ADD, (1, 2))) == [[(3,)]]
    lane.close_idle()


def main() -> None:
    server, database_url, redis_url = sys.argv[1:]
    end: dict[str, Callable[[Any], None]] = {"redis": end_redis, "postgres": end_postgres}
    with application(
        database_url,
        redis_url,
        # Nobody is told in these tests that they have waited for too long.
        redis_timeout_seconds=60,
        redis_max_connections=2,
        database_pool_size=1,
        database_pool_timeout_seconds=60,
        database_statement_seconds=60,
    ) as app:
        end[server](app)
    print("done")


if __name__ == "__main__":
    main()
