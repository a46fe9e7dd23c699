"""Greenlets that are killed while they wait for a server; run by `python -m gevent.monkey`, patched like a worker.

Arguments: which server, `redis` or `postgres`, the addresses of database and Redis, FAST_PATHS. Prints `done`.
"""

import sys
from collections.abc import Callable
from typing import Any

import gevent
from flask import Flask

from deploy.processes import wait_until
from swiper.extensions import redis
from swiper.fastpath.postgres_statements import Statement, StatementRunner
from tests.patched import application

SLEEP = Statement("SELECT pg_sleep(60)::text", str)
ADD = Statement("SELECT $1::int8 + $2::int8", int)


def end_redis(app: Flask) -> None:
    """An answer that nobody waits for any more is given to nobody, and no place is lost."""

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


def end_postgres(app: Flask) -> None:
    """Whoever is killed gives up the connection that they had, and the others get theirs in their order."""
    statements: StatementRunner = app.extensions["database"].runner
    served: list[int] = []

    def ask(number: int) -> None:
        served.append(statements.ask((ADD, (number, 0)))[0][0][0])

    for _ in range(3):
        served.clear()
        asleep = [gevent.spawn(statements.ask, (SLEEP, ())) for _ in range(3)]
        gevent.sleep(0.2)
        waiting = [gevent.spawn(ask, number) for number in range(4)]
        gevent.sleep(0.1)
        waiting[1].kill()
        gevent.killall(asleep)
        gevent.joinall(waiting, timeout=20, raise_error=True)
        assert sorted(served) == [0, 2, 3], served
    statements.close_idle()


def main() -> None:
    server, database_url, redis_url, fast_paths = sys.argv[1:]
    end: dict[str, Callable[[Any], None]] = {"redis": end_redis, "postgres": end_postgres}
    with application(
        database_url,
        redis_url,
        # Nobody is told in these tests that they have waited for too long.
        redis_timeout_seconds=60,
        redis_max_connections=2,
        database_pool_size=3,
        database_max_overflow=3,
        database_pool_timeout_seconds=60,
        database_statement_seconds=60,
        fast_paths=fast_paths,
    ) as app:
        end[server](app)
    print("done")


if __name__ == "__main__":
    main()
