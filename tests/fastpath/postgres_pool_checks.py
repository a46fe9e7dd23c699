"""How the pool of connections to PostgreSQL waits and connects; run by `tests/fastpath/shared_connections.py`."""

import time
from typing import Any

import gevent
from gevent.monkey import get_original
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from deploy.processes import wait_until
from swiper.extensions import db
from swiper.fastpath.postgres import MIN_CONNECTIONS, SharedPostgres
from swiper.http.responses import is_outage
from swiper.tallies import Tally, take_tallies
from tests.fastpath.postgres_state import SLEEP, idle_pids, is_settled, put, scratch, sleepers, stored, terminate
from tests.fastpath.together import ECHO, MANY, together
from tests.patched import application
from tests.proxy import FreezableProxy


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
    take_tallies()
    assert together(*(lambda n=n: postgres.ask((ECHO, (n, 0)))[0][0][0] for n in range(MANY))) == list(range(MANY))
    # Those who came when all connections were taken have waited, and were served.
    counted = take_tallies()
    assert 0 < counted[Tally.POOL_WAITS] < MANY
    assert Tally.POOL_TIMEOUTS not in counted
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
    take_tallies()
    sleeping = [gevent.spawn(postgres.ask, (SLEEP, (8,))) for _ in range(pool.size)]
    gevent.sleep(0.01)
    told = together(*[lambda: postgres.ask((ECHO, (0, 0)))] * 3)
    pool.checks = before
    assert {type(each) for each in told} == {PoolTimeoutError}, told
    counted = take_tallies()
    assert (counted[Tally.POOL_WAITS], counted[Tally.POOL_TIMEOUTS]) == (3, 3)
    assert counted[Tally.POOL_WAIT_MICROS] > 3 * 200_000
    assert not pool.waiting
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
