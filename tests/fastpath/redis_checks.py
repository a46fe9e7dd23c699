"""What the shared connection to Redis promises; run by `tests/fastpath/shared_connections.py`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from deploy.processes import wait_until
from swiper.fastpath.redis_client import SharedRedis
from swiper.redis_client import AppRedis
from tests.fastpath.together import MANY, SECONDS, counting, shared_by, together
from tests.proxy import FreezableProxy

# More than a socket's buffers hold, here and there.
LARGE = 20_000_000


@contextmanager
def proxied(client: SharedRedis) -> Iterator[tuple[FreezableProxy, SharedRedis]]:
    """A proxy before Redis, and a client that goes through it."""
    options = client.connection_pool.connection_kwargs
    with FreezableProxy(options.get("path") or options["host"], options.get("port", 0)) as proxy:
        pool = ConnectionPool(
            host="127.0.0.1", port=proxy.port, db=options.get("db", 0), socket_timeout=SECONDS, socket_connect_timeout=1
        )
        yield proxy, SharedRedis(connection_pool=pool)


def another(client: SharedRedis, **changes: Any) -> SharedRedis:
    """A client of the same server with connections of its own."""
    pool = client.connection_pool
    return SharedRedis(
        connection_pool=ConnectionPool(connection_class=pool.connection_class, **pool.connection_kwargs, **changes)
    )


def redis_answers_everybody_by_one_connection(client: SharedRedis) -> None:
    with counting(type(shared_by(client))) as sent:
        answers = together(*(lambda n=n: (client.echo(f"{n}"), client.client_id()) for n in range(MANY)))
    assert [text for text, _ in answers] == [b"%d" % n for n in range(MANY)]
    assert len({number for _, number in answers}) == 1
    assert len(sent) < MANY / 2, sent


def redis_answers_commands_sent_at_once(client: SharedRedis) -> None:
    def ask(n: int) -> list[Any]:
        return client.execute_together(("SET", f"k{n}", n), ("INCR", "word"), ("GET", f"k{n}"))

    client.set("word", "text")
    for n, (stored, refused, found) in enumerate(together(*(lambda n=n: ask(n) for n in range(MANY)))):
        assert stored is True
        assert isinstance(refused, ResponseError)
        assert found == b"%d" % n


def redis_refuses_one_and_answers_the_others(client: SharedRedis) -> None:
    client.set("word", "text")
    before = client.client_id()
    answers = together(*(lambda n=n: client.incr("word") if n % 3 == 0 else client.echo(f"{n}") for n in range(MANY)))
    for n, answer in enumerate(answers):
        assert isinstance(answer, ResponseError) if n % 3 == 0 else answer == b"%d" % n, answer
    assert client.client_id() == before


def redis_carries_what_no_buffer_holds(client: SharedRedis) -> None:
    def ask(n: int) -> int:
        client.set(f"large{n}", bytes([n]) * LARGE)
        found: Any = client.get(f"large{n}")
        client.delete(f"large{n}")
        return len(found) if set(found[::1000]) == {n} else 0

    assert together(*(lambda n=n: ask(n) for n in range(3))) == [LARGE] * 3


def redis_answers_as_its_own_client_does(client: SharedRedis) -> None:
    stock = AppRedis(connection_pool=client.connection_pool)
    client.sadd("set", "a", "b")
    client.hset("hash", mapping={"a": 1})
    client.zadd("sorted", {"a": 1.5})
    asks: list[Callable[[Any], Any]] = [
        lambda each: each.smembers("set"),
        lambda each: each.hgetall("hash"),
        lambda each: each.zrange("sorted", 0, -1, withscores=True),
        lambda each: each.sismember("set", "a"),
        lambda each: each.scan(match="set"),
        lambda each: each.ttl("set"),
        lambda each: each.info("server")["os"],
        lambda each: each.execute_together(("SMEMBERS", "set"), ("TTL", "set"), ("GET", "missing")),
        lambda each: each.eval_once("return redis.call('INCR', KEYS[1])", ["counted"]) and each.get("counted"),
    ]
    for number, ask in enumerate(asks):
        client.delete("counted")
        own = ask(client)
        client.delete("counted")
        assert own == ask(stock), number
    assert client.smembers("set") == {b"a", b"b"}


def redis_forgets_who_was_ended(client: SharedRedis) -> None:
    client.set("k", "v")
    before = client.client_id()
    waiting = [gevent.spawn(client.echo, "nobody's") for _ in range(5)]
    gevent.sleep(0)
    gevent.killall(waiting[:4])
    assert client.get("k") == b"v"
    assert waiting[4].get(timeout=20) == b"nobody's"
    assert client.client_id() == before


def redis_asks_again_when_the_connection_is_lost(client: SharedRedis) -> None:
    other = another(client)
    for _ in range(3):
        number = other.client_id()
        waiting = [gevent.spawn(other.echo, f"{n}") for n in range(MANY)]
        client.client_kill_filter(_id=str(number))
        assert [each.get(timeout=20) for each in waiting] == [b"%d" % n for n in range(MANY)]
        assert other.client_id() != number
    other.close()


def redis_tells_who_waits_for_too_long(client: SharedRedis) -> None:
    with proxied(client) as (proxy, through):
        through.set("k", "v")
        frozen = shared_by(through)
        proxy.freeze()
        answers = together(*[lambda: through.get("k")] * MANY)
        assert {type(answer) for answer in answers} == {RedisTimeoutError}, answers
        assert not frozen.is_open
        # And who comes then, and cannot connect.
        answers = together(*[lambda: through.get("k")] * 3)
        assert all(isinstance(answer, RedisTimeoutError | RedisConnectionError) for answer in answers), answers
        proxy.thaw()
        assert together(*[lambda: through.get("k")] * MANY) == [b"v"] * MANY
        wait_until(lambda: frozen.has_ended, 20, "the old connection stays")
        assert not frozen.requests


def redis_gives_a_late_answer_to_nobody(client: SharedRedis) -> None:
    with proxied(client) as (proxy, through):
        through.mset({"late": "late", "k": "v"})
        connection = shared_by(through)
        proxy.freeze()
        early = gevent.spawn(together, lambda: through.get("late"))
        gevent.sleep(SECONDS / 2)
        later = gevent.spawn(through.get, "k")
        assert isinstance(early.get(timeout=20)[0], RedisTimeoutError)
        # Who came later still waits for this connection, which takes nobody new.
        assert not later.ready()
        assert (connection.is_open, connection.has_ended) == (False, False)
        proxy.thaw()
        assert later.get(timeout=20) == b"v"
        assert connection.has_ended
        assert through.get("k") == b"v"


def redis_lets_one_connect_for_all(client: SharedRedis) -> None:
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


def redis_keeps_waiting_commands_apart(client: SharedRedis) -> None:
    waiting = gevent.spawn(client.blpop, "queue")
    assert together(*[client.ping] * MANY) == [True] * MANY
    assert not waiting.ready()
    client.rpush("queue", "x")
    assert list(waiting.get(timeout=20)) == [b"queue", b"x"]


def redis_counts_its_connection_among_the_connections(client: SharedRedis) -> None:
    alone = another(client, max_connections=1)
    for _ in range(3):
        assert alone.ping()
        with pytest.raises(MaxConnectionsError):
            alone.blpop("queue")
        number = alone.client_id()
        alone.close()
        wait_until(lambda: shared_by(alone).has_ended, 20, "it stays open")
        assert alone.client_id() != number
