"""Connections that greenlets share, each with its own answers; run by `python -m gevent.monkey`, patched like a worker.

Arguments: which server, `redis` or `postgres`, the addresses of database and Redis, and whether the database is behind
PgBouncer. Prints each check's name.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from flask import Flask
from gevent.monkey import get_original
from psycopg.pq import TransactionStatus
from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from deploy.processes import wait_until
from swiper.extensions import db
from swiper.fastpath.postgres import FOR_READING, MIN_CONNECTIONS, SharedPostgres
from swiper.fastpath.postgres_statements import BEGIN, COMMIT, Statement, Step
from swiper.fastpath.redis_client import SharedRedis
from swiper.fastpath.shared_connection import SharedConnection
from swiper.http.responses import is_outage
from swiper.redis_client import AppRedis
from tests.patched import application
from tests.proxy import FreezableProxy

MANY = 40
SECONDS = 0.4
# More than a socket's buffers hold, here and there.
LARGE = 20_000_000
ECHO = Statement("SELECT $1::int8, pg_backend_pid(), repeat('x', $2::int4)", int, int, str)
BROKEN = Statement("SELECT 1 / ($1::int8 - $1)", int)
PREPARED = Statement("SELECT count(*) FROM pg_prepared_statements", int)
SLEEP = Statement("SELECT pg_sleep($1::int8 / 10.0)::text", str)
PUT = Statement("INSERT INTO shared_scratch VALUES ($1::int8, pg_backend_pid()) RETURNING pid", int)
SCRATCH = Statement("SELECT * FROM shared_scratch", str)

Check = Callable[[Any], None]


@contextmanager
def counting(kind: type[SharedConnection]) -> Iterator[list[int]]:
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


def shared_by(client: Any) -> Any:
    return client.holder.connection


# --- Redis ---


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


# --- PostgreSQL ---


def postgres_answers_everybody_by_one_connection(postgres: SharedPostgres) -> None:
    with counting(type(shared_by(postgres))) as sent:
        answers = together(*(lambda n=n: postgres.read((ECHO, (n, n)), (ECHO, (-n, 5_000))) for n in range(MANY)))
    pids = {pid for rows in answers for ((_, pid, _),) in rows}
    assert len(pids) == 1
    assert answers == [[[(n, *pids, "x" * n)], [(-n, *pids, "x" * 5_000)]] for n in range(MANY)]
    assert len(sent) < MANY / 2, sent


def postgres_prepares_once_and_never_behind_pgbouncer(postgres: SharedPostgres) -> None:
    for _ in range(3):
        together(*[lambda: postgres.ask((ECHO, (0, 0)))] * MANY)
        ((count,),) = postgres.ask((PREPARED, ()))[0]
        assert bool(count) == postgres.is_preparing
        assert count <= len({ECHO, PREPARED})


def postgres_refuses_one_and_answers_the_others(postgres: SharedPostgres) -> None:
    def ask(n: int) -> Any:
        return postgres.read((BROKEN, (n,))) if n == MANY // 2 else postgres.read((ECHO, (n, 1)))[0][0][0]

    for _ in range(3):
        answers = together(*(lambda n=n: ask(n) for n in range(MANY)))
        assert isinstance(answers[MANY // 2], DBAPIError)
        assert answers[MANY // 2].orig.sqlstate == "22012"
        assert [n for n, answer in enumerate(answers) if answer == n] == [n for n in range(MANY) if n != MANY // 2]
    assert postgres.count <= postgres.size


def postgres_asks_again_when_the_connection_is_lost(postgres: SharedPostgres) -> None:
    for _ in range(3):
        pid = postgres.read((ECHO, (0, 0)))[0][0][1]
        waiting = [gevent.spawn(postgres.read, (SLEEP, (2,)), (ECHO, (n, 1))) for n in range(3)]
        with db.engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
        assert [each.get(timeout=20)[1][0][0] for each in waiting] == [0, 1, 2]
        assert postgres.read((ECHO, (0, 0)))[0][0][1] != pid


def postgres_tells_who_waits_for_too_long(postgres: SharedPostgres) -> None:
    before = shared_by(postgres)
    answers = together(lambda: postgres.read((SLEEP, (600,))))
    assert isinstance(answers[0], DBAPIError)
    assert answers[0].connection_invalidated
    assert is_outage(answers[0])
    assert postgres.read((ECHO, (1, 0)))[0][0][0] == 1
    assert before.has_ended
    assert postgres.count <= postgres.size


def postgres_forgets_who_was_ended(postgres: SharedPostgres) -> None:
    pid = postgres.read((ECHO, (0, 0)))[0][0][1]
    waiting = [gevent.spawn(postgres.read, (SLEEP, (1,))) for _ in range(3)]
    gevent.sleep(0.05)
    gevent.killall(waiting)
    assert postgres.read((ECHO, (7, 1)))[0] == [(7, pid, "x")]


def postgres_reads_tables_that_have_changed(postgres: SharedPostgres) -> None:
    with db.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE shared_scratch (word text)")
        connection.exec_driver_sql("INSERT INTO shared_scratch VALUES ('a')")
    try:
        assert together(*[lambda: postgres.read((SCRATCH, ()))] * MANY) == [[[("a",)]]] * MANY
        with db.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE shared_scratch ALTER word TYPE varchar(9)")
        assert together(*[lambda: postgres.read((SCRATCH, ()))] * MANY) == [[[("a",)]]] * MANY
    finally:
        with db.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE shared_scratch")


def postgres_gives_its_places_back(postgres: SharedPostgres) -> None:
    postgres.close_idle()
    wait_until(lambda: postgres.count == 0, 20, "a place is taken")
    postgres.read((ECHO, (0, 0)))
    assert postgres.count == 1
    together(*[lambda: postgres.ask((ECHO, (0, 0)))] * MANY)
    assert postgres.count == 1 + postgres.pool.count == postgres.size - 1
    postgres.close_idle()
    wait_until(lambda: postgres.count == 0, 20, "a place is taken")
    assert postgres.read((ECHO, (3, 0)))[0][0][0] == 3


# --- PostgreSQL, those who write ---


@contextmanager
def scratch(constraint: str = "") -> Iterator[None]:
    """An empty table for `PUT`."""
    with db.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE shared_scratch (id int8 PRIMARY KEY, pid int8 {constraint})")
    try:
        yield
    finally:
        with db.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE shared_scratch")


def stored() -> list[int]:
    with db.engine.begin() as connection:
        return list(connection.exec_driver_sql("SELECT id FROM shared_scratch ORDER BY id").scalars())


def put(postgres: SharedPostgres, number: int, *more: Step) -> int:
    """Store a number in a transaction, and tell by which process of the server."""
    _, ((pid,),), *_ = postgres.ask((BEGIN, ()), (PUT, (number,)), *more, (COMMIT, ()))
    return int(pid)


def idle_pids(postgres: SharedPostgres) -> set[int]:
    return {connection.libpq.backend_pid for connection in postgres.pool.idle}


def terminate(*pids: int) -> None:
    with db.engine.begin() as connection:
        for pid in pids:
            connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")


def sleepers() -> list[int]:
    """Processes of the server that are busy with a `SLEEP`."""
    with db.engine.begin() as connection:
        asleep = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        return list(connection.exec_driver_sql(asleep).scalars())


def is_settled(postgres: SharedPostgres) -> bool:
    """True where each of the pool's connections is idle and outside of any transaction, and nobody waits."""
    pool = postgres.pool
    states = {connection.libpq.transaction_status for connection in pool.idle}
    return len(pool.idle) == pool.count <= pool.size and not pool.waiting and states <= {TransactionStatus.IDLE}


def postgres_stores_for_everybody_in_their_turn(postgres: SharedPostgres) -> None:
    with scratch():
        pids = together(*(lambda n=n: put(postgres, n) for n in range(MANY)))
        assert stored() == list(range(MANY))
    assert len(set(pids)) == postgres.pool.count == postgres.size - FOR_READING
    assert is_settled(postgres)
    served: list[int] = []
    for each in postgres.pool.idle[1:]:
        each.close()
    del postgres.pool.idle[1:]
    postgres.pool.size = 1
    together(*(lambda n=n: served.append(postgres.ask((ECHO, (n, 0)))[0][0][0]) for n in range(MANY)))
    postgres.pool.size = postgres.size - FOR_READING
    assert served == list(range(MANY))


def postgres_stores_nothing_of_what_is_refused(postgres: SharedPostgres) -> None:
    def ask(n: int) -> Any:
        return put(postgres, n, *([(BROKEN, (n,))] if n % 4 == 0 else []))

    with scratch():
        answers = together(*(lambda n=n: ask(n) for n in range(MANY)))
        refused = {n for n, answer in enumerate(answers) if isinstance(answer, DBAPIError)}
        assert {answers[n].orig.sqlstate for n in refused} == {"22012"}
        assert not any(answers[n].connection_invalidated for n in refused)
        assert all("1 / " in str(answers[n].statement) for n in refused)
        assert refused == set(range(0, MANY, 4))
        assert stored() == [n for n in range(MANY) if n not in refused]
        wait_until(lambda: is_settled(postgres), 20, "a connection is not free")


def postgres_tells_what_only_the_commit_refuses(postgres: SharedPostgres) -> None:
    with scratch("UNIQUE DEFERRABLE INITIALLY DEFERRED"):
        same = Statement("INSERT INTO shared_scratch VALUES ($1::int8, 7)")
        postgres.ask((same, (1,)))
        for steps in ([(same, (2,))], [(BEGIN, ()), (same, (2,)), (COMMIT, ())]):
            (refused,) = together(lambda steps=steps: postgres.ask(*steps))
            assert isinstance(refused, DBAPIError)
            assert refused.orig.sqlstate == "23505"
        assert stored() == [1]


def postgres_says_that_a_connection_is_lost(postgres: SharedPostgres) -> None:
    together(*[lambda: postgres.ask((ECHO, (0, 0)))] * MANY)
    waiting = [gevent.spawn(together, lambda: postgres.ask((SLEEP, (100,)))) for _ in range(3)]
    gevent.sleep(0.1)
    terminate(*sleepers())
    for each in waiting:
        (lost,) = each.get(timeout=20)
        assert isinstance(lost, DBAPIError)
        assert lost.connection_invalidated
        assert is_outage(lost)
    assert postgres.ask((ECHO, (1, 0)))[0][0][0] == 1
    wait_until(lambda: is_settled(postgres), 20, "a connection is not free")


def postgres_replaces_idle_connections_that_the_server_has_ended(postgres: SharedPostgres) -> None:
    together(*[lambda: postgres.ask((ECHO, (0, 0)))] * MANY)
    before = idle_pids(postgres)
    assert len(before) == postgres.pool.size
    terminate(*before)
    # Not gevent's, in which this worker might hear of it.
    get_original("time", "sleep")(0.5)
    assert together(*(lambda n=n: postgres.ask((ECHO, (n, 0)))[0][0][0] for n in range(MANY))) == list(range(MANY))
    assert not idle_pids(postgres) & before
    assert is_settled(postgres)


def postgres_tells_who_waits_for_too_long_alone(postgres: SharedPostgres) -> None:
    with scratch():
        late = gevent.spawn(together, lambda: put(postgres, 1, (SLEEP, (50,))))
        assert together(*(lambda n=n: put(postgres, n) for n in range(2, MANY)))
        (told,) = late.get(timeout=20)
        assert isinstance(told, DBAPIError)
        assert told.connection_invalidated
        assert is_outage(told)
        # Nobody tells the server that nobody waits any more, and it may go on to the commit.
        wait_until(lambda: not sleepers(), 20, "it sleeps on")
        assert set(stored()) - {1} == set(range(2, MANY))
        wait_until(lambda: is_settled(postgres), 20, "a connection is not free")


def postgres_tells_who_waits_for_too_long_for_a_connection(postgres: SharedPostgres) -> None:
    pool = postgres.pool
    before, pool.checks = pool.checks, 3
    sleeping = [gevent.spawn(postgres.ask, (SLEEP, (8,))) for _ in range(pool.size)]
    gevent.sleep(0.01)
    told = together(*[lambda: postgres.ask((ECHO, (0, 0)))] * 3)
    pool.checks = before
    assert {type(each) for each in told} == {PoolTimeoutError}, told
    assert all(is_outage(each) for each in told)
    gevent.joinall(sleeping, timeout=20, raise_error=True)
    assert is_settled(postgres)


def postgres_counts_waiting_for_a_place_and_connecting_as_one(postgres: SharedPostgres) -> None:
    """The server is frozen, and who takes the place of a connection that is given up connects in vain."""
    limit, url = 2.0, db.engine.url
    with FreezableProxy(url.host or url.query["host"], url.port or 5432) as proxy:
        through = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        times = {"database_statement_seconds": limit, "database_pool_timeout_seconds": limit}
        with application(through, "", log_level="ERROR", **times) as app:
            own: SharedPostgres = app.extensions["database"].runner
            together(*[lambda: own.ask((ECHO, (0, 0)))] * MANY)
            proxy.freeze()
            sent = [gevent.spawn(together, lambda: own.ask((ECHO, (0, 0)))) for _ in range(own.pool.size)]
            gevent.sleep(limit / 2)
            started = time.monotonic()
            told = together(*[lambda: own.ask((ECHO, (0, 0)))] * MANY)
            waited = time.monotonic() - started
            gevent.joinall(sent, timeout=20, raise_error=True)
    assert all(is_outage(each) for each in told), told
    assert {type(each) for each in told} == {OperationalError, PoolTimeoutError}
    assert waited < limit * 1.3, waited


def postgres_reads_and_writes_with_the_smallest_settings(postgres: SharedPostgres) -> None:
    address = db.engine.url.render_as_string(hide_password=False)
    with application(address, "", log_level="ERROR", database_pool_size=1, database_max_overflow=0) as app:
        own: SharedPostgres = app.extensions["database"].runner
        answers = together(*[lambda: own.read((ECHO, (1, 0))), lambda: own.ask((ECHO, (2, 0)))] * MANY)
        assert [answer[0][0][0] for answer in answers] == [1, 2] * MANY
        assert 0 < own.count <= MIN_CONNECTIONS
        own.close_idle()


def postgres_gives_up_what_an_ended_greenlet_had(postgres: SharedPostgres) -> None:
    pool = postgres.pool
    with scratch():
        asking = [gevent.spawn(put, postgres, n, (SLEEP, (8,))) for n in range(pool.size)]
        gevent.sleep(0.2)
        waiting = [gevent.spawn(put, postgres, n) for n in range(pool.size, pool.size + 4)]
        gevent.sleep(0)
        assert len(pool.waiting) == 4
        gevent.killall([*asking[1:], waiting[0], waiting[2]], timeout=5)
        gevent.joinall([asking[0], waiting[1], waiting[3]], timeout=20, raise_error=True)
        wait_until(lambda: is_settled(postgres), 20, "a connection is not free")
        wait_until(lambda: not sleepers(), 20, "it sleeps on")
        # What had been sent, commit and all, may be stored; what had not is not.
        assert set(stored()) - set(range(1, pool.size)) == {0, pool.size + 1, pool.size + 3}


def postgres_writes_tables_that_have_changed(postgres: SharedPostgres) -> None:
    with scratch():
        read = Statement("SELECT * FROM shared_scratch", int, int)
        together(*[lambda: postgres.ask((read, ()))] * MANY)
        # They are busy while the first one finds out, and then out of date like it.
        busy = [gevent.spawn(postgres.ask, (SLEEP, (3,))) for _ in range(postgres.pool.size - 1)]
        gevent.sleep(0.1)
        with db.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE shared_scratch ALTER pid TYPE int4")
        assert together(*[lambda: postgres.ask((read, ()))] * MANY) == [[[]]] * MANY
        gevent.joinall(busy, timeout=20, raise_error=True)
        wait_until(lambda: is_settled(postgres), 20, "a connection is not free")


def postgres_ends_a_busy_connection_that_is_out_of_date_with_its_answer(postgres: SharedPostgres) -> None:
    busy = gevent.spawn(postgres.ask, (SLEEP, (5,)))
    wait_until(sleepers, 20, "nothing is asked")
    (pid,) = sleepers()
    postgres.close_idle()
    busy.get(timeout=20)
    wait_until(lambda: is_settled(postgres), 20, "a connection is not free")
    assert pid not in idle_pids(postgres)


def postgres_commits_read_whatever_the_server_is_set_to(postgres: SharedPostgres) -> None:
    level = Statement("SELECT current_setting('transaction_isolation')", str)
    with db.engine.begin() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar()
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_isolation = serializable')
    try:
        postgres.close_idle()
        wait_until(lambda: postgres.count == 0, 20, "a place is taken")
        for _ in range(2):
            assert postgres.ask((BEGIN, ()), (level, ()), (COMMIT, ()))[1] == [("read committed",)]
    finally:
        with db.engine.begin() as connection:
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" RESET default_transaction_isolation')
        postgres.close_idle()


def postgres_replaces_a_connection_of_readers_on_which_somebody_still_waits(postgres: SharedPostgres) -> None:
    together(*[lambda: postgres.ask((ECHO, (0, 0)))] * MANY)
    postgres.read((ECHO, (0, 0)))
    before = shared_by(postgres)
    late = gevent.spawn(together, lambda: postgres.read((SLEEP, (600,))))
    gevent.sleep(0.9)
    behind = gevent.spawn(together, lambda: postgres.read((ECHO, (0, 0))))
    assert isinstance(late.get(timeout=20)[0], DBAPIError)
    assert (before.is_open, before.has_ended) == (False, False)
    assert postgres.read((ECHO, (5, 0)))[0][0][0] == 5
    assert not behind.ready()
    assert isinstance(behind.get(timeout=20)[0], DBAPIError)
    assert before.has_ended
    terminate(*sleepers())


def postgres_makes_connections_for_those_who_wait_when_making_one_fails(postgres: SharedPostgres) -> None:
    postgres.close_idle()
    wait_until(lambda: postgres.count == 0, 20, "a place is taken")
    real, made = postgres.connect, []

    def connect(waited: float) -> Any:
        made.append(None)
        number = len(made)
        gevent.sleep(0.1)
        if number <= 5:
            raise DBAPIError("connect", None, Exception("away"))
        return real(waited)

    postgres.connect = connect
    try:
        asking = [gevent.spawn(together, lambda n=n: postgres.ask((ECHO, (n, 0)))[0][0][0]) for n in range(MANY)]
        gevent.sleep(0.05)
        # One of those who connect.
        asking[6].kill()
        answers = [each.get(timeout=20)[0] for n, each in enumerate(asking) if n != 6]
    finally:
        postgres.connect = real
    failed = [n for n, answer in enumerate(answers) if isinstance(answer, Exception)]
    assert failed == [0, 1, 2, 3, 4], answers
    assert answers[5:] == [n for n in range(5, MANY) if n != 6]
    assert is_settled(postgres)


def checks_of(server: str) -> list[Check]:
    return [check for name, check in globals().items() if name.startswith(f"{server}_")]


def run(app: Flask, server: str) -> None:
    with app.app_context():
        holder: Any = app.extensions["database"].runner if server == "postgres" else app.extensions["redis"]
        for check in checks_of(server):
            # So that there is a connection, whatever the check before has done to it.
            if server == "postgres":
                holder.read((ECHO, (0, 0)))
            else:
                holder.ping()
            check(holder)
            print(check.__name__)


def main() -> None:
    server, database_url, redis_url, is_behind_pgbouncer = sys.argv[1:]
    with application(
        database_url,
        redis_url,
        redis_timeout_seconds=20,
        database_statement_seconds=1,
        database_behind_pgbouncer=is_behind_pgbouncer,
        log_level="ERROR",
    ) as app:
        run(app, server)


if __name__ == "__main__":
    main()
