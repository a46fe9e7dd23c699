"""Lines that many greenlets share, each with its own answers; run by `python -m gevent.monkey`, patched like a worker.

Arguments: which server, `redis` or `postgres`, and the addresses of database and Redis. Prints each check's name.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from flask import Flask
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy.exc import DBAPIError

from deploy.processes import wait_until
from swiper.extensions import db
from swiper.lines import Line
from swiper.postgres_line import SharingLane
from swiper.quick_postgres import Statement
from swiper.quick_redis import QuickPool, QuickRedis
from swiper.responses import is_outage
from tests.patched import application
from tests.proxy import FreezableProxy

MANY = 40
SECONDS = 0.4
# More than a socket's buffers hold, here and there.
LARGE = 20_000_000
ECHO = Statement("SELECT $1::int8, pg_backend_pid(), repeat('x', $2::int4)", int, int, str)
BROKEN = Statement("SELECT 1 / ($1::int8 - $1)", int)
SLEEP = Statement("SELECT pg_sleep($1::int8 / 10.0)::text", str)
SCRATCH = Statement("SELECT * FROM shared_scratch", str)

Check = Callable[[Any], None]


@contextmanager
def counting(kind: type[Line]) -> Iterator[list[int]]:
    """How many calls each sending took along."""
    real, sent = kind._flush, []

    def flush(self: Any) -> bool:
        sent.append(len(self.unsent))
        return real(self)

    kind._flush = flush  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        kind._flush = real  # type: ignore[method-assign]


def together(*asks: Callable[[], Any]) -> list[Any]:
    """What each greenlet got: its answer, or the exception."""

    def attempt(ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except Exception as error:
            return error

    greenlets = [gevent.spawn(attempt, ask) for ask in asks]
    return [each.get(timeout=60) for each in greenlets]


def line_of(holder: Any) -> Any:
    return holder.keeper.line


# --- Redis ---


@contextmanager
def proxied(client: QuickRedis) -> Iterator[tuple[FreezableProxy, QuickRedis]]:
    """A proxy before Redis, and a client that goes through it."""
    options = client.connection_pool.connection_kwargs
    with FreezableProxy(options.get("path") or options["host"], options.get("port", 0)) as proxy:
        pool = QuickPool(
            host="127.0.0.1", port=proxy.port, db=options.get("db", 0), socket_timeout=SECONDS, socket_connect_timeout=1
        )
        yield proxy, QuickRedis(connection_pool=pool)


def another(client: QuickRedis, **changes: Any) -> QuickRedis:
    """A client of the same server with connections of its own."""
    pool = client.connection_pool
    return QuickRedis(
        connection_pool=QuickPool(connection_class=pool.connection_class, **pool.connection_kwargs, **changes)
    )


def redis_answers_everybody_by_one_connection(client: QuickRedis) -> None:
    with counting(type(line_of(client))) as sent:
        answers = together(*(lambda n=n: (client.echo(f"{n}"), client.client_id()) for n in range(MANY)))
    assert [text for text, _ in answers] == [b"%d" % n for n in range(MANY)]
    assert len({number for _, number in answers}) == 1
    assert len(sent) < MANY / 2, sent


def redis_answers_commands_sent_at_once(client: QuickRedis) -> None:
    def ask(n: int) -> list[Any]:
        return client.execute_together(("SET", f"k{n}", n), ("INCR", "word"), ("GET", f"k{n}"))

    client.set("word", "text")
    for n, (stored, refused, found) in enumerate(together(*(lambda n=n: ask(n) for n in range(MANY)))):
        assert stored is True
        assert isinstance(refused, ResponseError)
        assert found == b"%d" % n


def redis_refuses_one_and_answers_the_others(client: QuickRedis) -> None:
    client.set("word", "text")
    before = client.client_id()
    answers = together(*(lambda n=n: client.incr("word") if n % 3 == 0 else client.echo(f"{n}") for n in range(MANY)))
    for n, answer in enumerate(answers):
        assert isinstance(answer, ResponseError) if n % 3 == 0 else answer == b"%d" % n, answer
    assert client.client_id() == before


def redis_carries_what_no_buffer_holds(client: QuickRedis) -> None:
    def ask(n: int) -> int:
        client.set(f"large{n}", bytes([n]) * LARGE)
        found: Any = client.get(f"large{n}")
        client.delete(f"large{n}")
        return len(found) if set(found[::1000]) == {n} else 0

    assert together(*(lambda n=n: ask(n) for n in range(3))) == [LARGE] * 3


def redis_forgets_who_was_ended(client: QuickRedis) -> None:
    client.set("k", "v")
    before = client.client_id()
    waiting = [gevent.spawn(client.echo, "nobody's") for _ in range(5)]
    gevent.sleep(0)
    gevent.killall(waiting[:4])
    assert client.get("k") == b"v"
    assert waiting[4].get(timeout=20) == b"nobody's"
    assert client.client_id() == before


def redis_asks_again_when_the_connection_is_lost(client: QuickRedis) -> None:
    other = another(client)
    for _ in range(3):
        number = other.client_id()
        waiting = [gevent.spawn(other.echo, f"{n}") for n in range(MANY)]
        client.client_kill_filter(_id=str(number))
        assert [each.get(timeout=20) for each in waiting] == [b"%d" % n for n in range(MANY)]
        assert other.client_id() != number
    other.close()


def redis_tells_who_waits_for_too_long(client: QuickRedis) -> None:
    with proxied(client) as (proxy, through):
        through.set("k", "v")
        frozen = line_of(through)
        proxy.freeze()
        answers = together(*[lambda: through.get("k")] * MANY)
        assert {type(answer) for answer in answers} == {RedisTimeoutError}, answers
        assert not frozen.is_open
        # And who comes then, and cannot connect.
        answers = together(*[lambda: through.get("k")] * 3)
        assert all(isinstance(answer, RedisTimeoutError | RedisConnectionError) for answer in answers), answers
        proxy.thaw()
        assert together(*[lambda: through.get("k")] * MANY) == [b"v"] * MANY
        wait_until(lambda: frozen.has_ended, 20, "the old line stays")
        assert not frozen.calls


def redis_gives_a_late_answer_to_nobody(client: QuickRedis) -> None:
    with proxied(client) as (proxy, through):
        through.mset({"late": "late", "k": "v"})
        line = line_of(through)
        proxy.freeze()
        early = gevent.spawn(together, lambda: through.get("late"))
        gevent.sleep(SECONDS / 2)
        later = gevent.spawn(through.get, "k")
        assert isinstance(early.get(timeout=20)[0], RedisTimeoutError)
        # Who came later still waits for this line, which takes nobody new.
        assert not later.ready()
        assert (line.is_open, line.has_ended) == (False, False)
        proxy.thaw()
        assert later.get(timeout=20) == b"v"
        assert line.has_ended
        assert through.get("k") == b"v"


def redis_lets_one_connect_for_all(client: QuickRedis) -> None:
    with proxied(client) as (proxy, through):
        assert together(*[through.ping] * MANY) == [True] * MANY
        assert proxy.accepted == 1
        through.close()
        proxy.freeze()
        waiting = [gevent.spawn(through.ping) for _ in range(MANY)]
        gevent.sleep(0.1)
        # The one that makes the connection: then another has to.
        waiting[0].kill()
        proxy.thaw()
        assert [each.get(timeout=20) for each in waiting[1:]] == [True] * (MANY - 1)


def redis_keeps_waiting_commands_apart(client: QuickRedis) -> None:
    waiting = gevent.spawn(client.blpop, "queue")
    assert together(*[client.ping] * MANY) == [True] * MANY
    assert not waiting.ready()
    client.rpush("queue", "x")
    assert list(waiting.get(timeout=20)) == [b"queue", b"x"]


def redis_counts_its_line_among_the_connections(client: QuickRedis) -> None:
    alone = another(client, max_connections=1)
    for _ in range(3):
        assert alone.ping()
        with pytest.raises(MaxConnectionsError):
            alone.blpop("queue")
        number = alone.client_id()
        alone.close()
        wait_until(lambda: line_of(alone).has_ended, 20, "it stays open")
        assert alone.client_id() != number


# --- PostgreSQL ---


def postgres_answers_everybody_by_one_connection(lane: SharingLane) -> None:
    with counting(type(line_of(lane))) as sent:
        answers = together(*(lambda n=n: lane.read((ECHO, (n, n)), (ECHO, (-n, 5_000))) for n in range(MANY)))
    pids = {pid for rows in answers for ((_, pid, _),) in rows}
    assert len(pids) == 1
    assert answers == [[[(n, *pids, "x" * n)], [(-n, *pids, "x" * 5_000)]] for n in range(MANY)]
    assert len(sent) < MANY / 2, sent


def postgres_refuses_one_and_answers_the_others(lane: SharingLane) -> None:
    def ask(n: int) -> Any:
        return lane.read((BROKEN, (n,))) if n == MANY // 2 else lane.read((ECHO, (n, 1)))[0][0][0]

    for _ in range(3):
        answers = together(*(lambda n=n: ask(n) for n in range(MANY)))
        assert isinstance(answers[MANY // 2], DBAPIError)
        assert answers[MANY // 2].orig.sqlstate == "22012"
        assert [n for n, answer in enumerate(answers) if answer == n] == [n for n in range(MANY) if n != MANY // 2]
    assert lane.count <= lane.size


def postgres_asks_again_when_the_connection_is_lost(lane: SharingLane) -> None:
    for _ in range(3):
        pid = lane.read((ECHO, (0, 0)))[0][0][1]
        waiting = [gevent.spawn(lane.read, (SLEEP, (2,)), (ECHO, (n, 1))) for n in range(3)]
        with db.engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
        assert [each.get(timeout=20)[1][0][0] for each in waiting] == [0, 1, 2]
        assert lane.read((ECHO, (0, 0)))[0][0][1] != pid


def postgres_tells_who_waits_for_too_long(lane: SharingLane) -> None:
    before = line_of(lane)
    answers = together(lambda: lane.read((SLEEP, (600,))))
    assert isinstance(answers[0], DBAPIError)
    assert answers[0].connection_invalidated
    assert is_outage(answers[0])
    assert lane.read((ECHO, (1, 0)))[0][0][0] == 1
    assert before.has_ended
    assert lane.count <= lane.size


def postgres_forgets_who_was_ended(lane: SharingLane) -> None:
    pid = lane.read((ECHO, (0, 0)))[0][0][1]
    waiting = [gevent.spawn(lane.read, (SLEEP, (1,))) for _ in range(3)]
    gevent.sleep(0.05)
    gevent.killall(waiting)
    assert lane.read((ECHO, (7, 1)))[0] == [(7, pid, "x")]


def postgres_reads_tables_that_have_changed(lane: SharingLane) -> None:
    with db.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE shared_scratch (word text)")
        connection.exec_driver_sql("INSERT INTO shared_scratch VALUES ('a')")
    try:
        assert together(*[lambda: lane.read((SCRATCH, ()))] * MANY) == [[[("a",)]]] * MANY
        with db.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE shared_scratch ALTER word TYPE varchar(9)")
        assert together(*[lambda: lane.read((SCRATCH, ()))] * MANY) == [[[("a",)]]] * MANY
    finally:
        with db.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE shared_scratch")


def postgres_gives_its_place_back(lane: SharingLane) -> None:
    lane.read((ECHO, (0, 0)))
    taken = lane.count - len(lane.idle)
    assert taken == 1
    lane.close_idle()
    wait_until(lambda: lane.count == 0, 20, "a place is taken")
    assert lane.read((ECHO, (3, 0)))[0][0][0] == 3


def postgres_has_no_line_where_there_is_one_place(lane: SharingLane) -> None:
    lane.size = 1
    lane.close_idle()
    wait_until(lambda: lane.count == 0, 20, "a place is taken")
    assert lane.read((ECHO, (3, 0)))[0][0][0] == 3
    assert len(lane.idle) == lane.count == 1


def checks_of(server: str) -> list[Check]:
    return [check for name, check in globals().items() if name.startswith(f"{server}_")]


def run(app: Flask, server: str) -> None:
    with app.app_context():
        holder: Any = app.extensions["quick_lane"] if server == "postgres" else app.extensions["redis"]
        for check in checks_of(server):
            # So that there is a line, whatever the check before has done to it.
            if server == "postgres":
                holder.read((ECHO, (0, 0)))
            else:
                holder.ping()
            check(holder)
            print(check.__name__)


def main() -> None:
    server, database_url, redis_url = sys.argv[1:]
    with application(
        database_url, redis_url, redis_timeout_seconds=20, database_statement_seconds=1, log_level="ERROR"
    ) as app:
        run(app, server)


if __name__ == "__main__":
    main()
