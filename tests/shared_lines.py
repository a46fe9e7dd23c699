"""Lines that many greenlets share, each with its own answers; run by `python -m gevent.monkey`, patched like a worker.

Arguments: which server, `redis` or `postgres`, the addresses of database and Redis, and whether the database is behind
PgBouncer. Prints each check's name.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from flask import Flask
from gevent.monkey import get_original
from psycopg.pq import TransactionStatus
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from deploy.processes import wait_until
from swiper.extensions import db
from swiper.fastpath.lines import Line
from swiper.fastpath.postgres_line import SharingLane
from swiper.fastpath.quick_postgres import BEGIN, COMMIT, QuickConnection, Statement, Step
from swiper.fastpath.quick_redis import QuickPool, QuickRedis
from swiper.http.responses import is_outage
from tests.patched import application
from tests.proxy import FreezableProxy

MANY = 40
SECONDS = 0.4
# More than a socket's buffers hold, here and there.
LARGE = 20_000_000
ECHO = Statement("SELECT $1::int8, pg_backend_pid(), repeat('x', $2::int4)", int, int, str)
BROKEN = Statement("SELECT 1 / ($1::int8 - $1)", int)
SLEEP = Statement("SELECT pg_sleep($1::int8 / 10.0)::text", str)
PUT = Statement("INSERT INTO shared_scratch VALUES ($1::int8, pg_backend_pid()) RETURNING pid", int)
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


def postgres_gives_its_places_back(lane: SharingLane) -> None:
    lane.close_idle()
    wait_until(lambda: lane.count == 0, 20, "a place is taken")
    lane.read((ECHO, (0, 0)))
    assert lane.count == 1
    together(*[lambda: lane.ask((ECHO, (0, 0)))] * MANY)
    assert lane.count == 1 + lane.crew.count == lane.size - 1
    lane.close_idle()
    wait_until(lambda: lane.count == 0, 20, "a place is taken")
    assert lane.read((ECHO, (3, 0)))[0][0][0] == 3


def postgres_has_no_line_where_there_is_one_place(lane: SharingLane) -> None:
    before, lane.size = lane.size, 1
    lane.close_idle()
    wait_until(lambda: lane.count == 0, 20, "a place is taken")
    for ask in (lane.read, lane.ask):
        assert ask((ECHO, (3, 0)))[0][0][0] == 3
        assert len(lane.idle) == lane.count == 1
    lane.close_idle()
    lane.size = before


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


def put(lane: SharingLane, number: int, *more: Step) -> int:
    """Store a number in a transaction, and tell by which process of the server."""
    _, ((pid,),), *_ = lane.ask((BEGIN, ()), (PUT, (number,)), *more, (COMMIT, ()))
    return int(pid)


def idle_pids(lane: SharingLane) -> set[int]:
    return {line.libpq.backend_pid for line in lane.crew.idle}


def terminate(*pids: int) -> None:
    with db.engine.begin() as connection:
        for pid in pids:
            connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")


def sleepers() -> list[int]:
    """Processes of the server that are busy with a `SLEEP`."""
    with db.engine.begin() as connection:
        asleep = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        return list(connection.exec_driver_sql(asleep).scalars())


def is_settled(lane: SharingLane) -> bool:
    """True where each of the crew's lines is idle and outside of any transaction, and nobody waits."""
    crew = lane.crew
    states = {line.libpq.transaction_status for line in crew.idle}
    return len(crew.idle) == crew.count <= crew.size and not crew.waiting and states <= {TransactionStatus.IDLE}


def postgres_stores_for_everybody_in_their_turn(lane: SharingLane) -> None:
    with scratch():
        pids = together(*(lambda n=n: put(lane, n) for n in range(MANY)))
        assert stored() == list(range(MANY))
    assert len(set(pids)) == lane.crew.count == lane.size - 2
    assert is_settled(lane)
    served: list[int] = []
    for each in lane.crew.idle[1:]:
        each.close()
    del lane.crew.idle[1:]
    lane.crew.size = 1
    together(*(lambda n=n: served.append(lane.ask((ECHO, (n, 0)))[0][0][0]) for n in range(MANY)))
    lane.crew.size = lane.size - 2
    assert served == list(range(MANY))


def postgres_stores_nothing_of_what_is_refused(lane: SharingLane) -> None:
    def ask(n: int) -> Any:
        return put(lane, n, *([(BROKEN, (n,))] if n % 4 == 0 else []))

    with scratch():
        answers = together(*(lambda n=n: ask(n) for n in range(MANY)))
        refused = {n for n, answer in enumerate(answers) if isinstance(answer, DBAPIError)}
        assert {answers[n].orig.sqlstate for n in refused} == {"22012"}
        assert not any(answers[n].connection_invalidated for n in refused)
        assert all("1 / " in str(answers[n].statement) for n in refused)
        assert refused == set(range(0, MANY, 4))
        assert stored() == [n for n in range(MANY) if n not in refused]
        wait_until(lambda: is_settled(lane), 20, "a line is not free")


def postgres_tells_what_only_the_commit_refuses(lane: SharingLane) -> None:
    with scratch("UNIQUE DEFERRABLE INITIALLY DEFERRED"):
        same = Statement("INSERT INTO shared_scratch VALUES ($1::int8, 7)")
        lane.ask((same, (1,)))
        for steps in ([(same, (2,))], [(BEGIN, ()), (same, (2,)), (COMMIT, ())]):
            (refused,) = together(lambda steps=steps: lane.ask(*steps))
            assert isinstance(refused, DBAPIError)
            assert refused.orig.sqlstate == "23505"
        assert stored() == [1]


def postgres_says_that_a_connection_is_lost(lane: SharingLane) -> None:
    together(*[lambda: lane.ask((ECHO, (0, 0)))] * MANY)
    waiting = [gevent.spawn(together, lambda: lane.ask((SLEEP, (100,)))) for _ in range(3)]
    gevent.sleep(0.1)
    terminate(*sleepers())
    for each in waiting:
        (lost,) = each.get(timeout=20)
        assert isinstance(lost, DBAPIError)
        assert lost.connection_invalidated
        assert is_outage(lost)
    assert lane.ask((ECHO, (1, 0)))[0][0][0] == 1
    wait_until(lambda: is_settled(lane), 20, "a line is not free")


def postgres_replaces_idle_lines_that_the_server_has_ended(lane: SharingLane) -> None:
    together(*[lambda: lane.ask((ECHO, (0, 0)))] * MANY)
    before = idle_pids(lane)
    assert len(before) == lane.crew.size
    terminate(*before)
    # Not gevent's, in which this worker might hear of it.
    get_original("time", "sleep")(0.5)
    assert together(*(lambda n=n: lane.ask((ECHO, (n, 0)))[0][0][0] for n in range(MANY))) == list(range(MANY))
    assert not idle_pids(lane) & before
    assert is_settled(lane)


def postgres_tells_who_waits_for_too_long_alone(lane: SharingLane) -> None:
    with scratch():
        late = gevent.spawn(together, lambda: put(lane, 1, (SLEEP, (50,))))
        assert together(*(lambda n=n: put(lane, n) for n in range(2, MANY)))
        (told,) = late.get(timeout=20)
        assert isinstance(told, DBAPIError)
        assert told.connection_invalidated
        assert is_outage(told)
        # Nobody tells the server that nobody waits any more, and it may go on to the commit.
        wait_until(lambda: not sleepers(), 20, "it sleeps on")
        assert set(stored()) - {1} == set(range(2, MANY))
        wait_until(lambda: is_settled(lane), 20, "a line is not free")


def postgres_tells_who_waits_for_too_long_for_a_line(lane: SharingLane) -> None:
    crew = lane.crew
    before, crew.checks = crew.checks, 3
    sleeping = [gevent.spawn(lane.ask, (SLEEP, (8,))) for _ in range(crew.size)]
    gevent.sleep(0.01)
    told = together(*[lambda: lane.ask((ECHO, (0, 0)))] * 3)
    crew.checks = before
    assert {type(each) for each in told} == {PoolTimeoutError}, told
    assert all(is_outage(each) for each in told)
    gevent.joinall(sleeping, timeout=20, raise_error=True)
    assert is_settled(lane)


def postgres_gives_up_what_an_ended_greenlet_had(lane: SharingLane) -> None:
    crew = lane.crew
    with scratch():
        asking = [gevent.spawn(put, lane, n, (SLEEP, (8,))) for n in range(crew.size)]
        gevent.sleep(0.2)
        waiting = [gevent.spawn(put, lane, n) for n in range(crew.size, crew.size + 4)]
        gevent.sleep(0)
        assert len(crew.waiting) == 4
        gevent.killall([*asking[1:], waiting[0], waiting[2]], timeout=5)
        gevent.joinall([asking[0], waiting[1], waiting[3]], timeout=20, raise_error=True)
        wait_until(lambda: is_settled(lane), 20, "a line is not free")
        wait_until(lambda: not sleepers(), 20, "it sleeps on")
        # What had been sent, commit and all, may be stored; what had not is not.
        assert set(stored()) - set(range(1, crew.size)) == {0, crew.size + 1, crew.size + 3}


def postgres_writes_tables_that_have_changed(lane: SharingLane) -> None:
    with scratch():
        read = Statement("SELECT * FROM shared_scratch", int, int)
        together(*[lambda: lane.ask((read, ()))] * MANY)
        # They are busy while the first one finds out, and then out of date like it.
        busy = [gevent.spawn(lane.ask, (SLEEP, (3,))) for _ in range(lane.crew.size - 1)]
        gevent.sleep(0.1)
        with db.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE shared_scratch ALTER pid TYPE int4")
        assert together(*[lambda: lane.ask((read, ()))] * MANY) == [[[]]] * MANY
        gevent.joinall(busy, timeout=20, raise_error=True)
        wait_until(lambda: is_settled(lane), 20, "a line is not free")


def postgres_ends_a_busy_line_that_is_out_of_date_with_its_answer(lane: SharingLane) -> None:
    busy = gevent.spawn(lane.ask, (SLEEP, (5,)))
    wait_until(sleepers, 20, "nothing is asked")
    (pid,) = sleepers()
    lane.close_idle()
    busy.get(timeout=20)
    wait_until(lambda: is_settled(lane), 20, "a line is not free")
    assert pid not in idle_pids(lane)


def postgres_commits_read_whatever_the_server_is_set_to(lane: SharingLane) -> None:
    level = Statement("SELECT current_setting('transaction_isolation')", str)
    with db.engine.begin() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar()
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_isolation = serializable')
    try:
        lane.close_idle()
        wait_until(lambda: lane.count == 0, 20, "a place is taken")
        for _ in range(2):
            assert lane.ask((BEGIN, ()), (level, ()), (COMMIT, ()))[1] == [("read committed",)]
    finally:
        with db.engine.begin() as connection:
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" RESET default_transaction_isolation')
        lane.close_idle()


def postgres_replaces_a_line_of_readers_on_which_somebody_still_waits(lane: SharingLane) -> None:
    together(*[lambda: lane.ask((ECHO, (0, 0)))] * MANY)
    lane.read((ECHO, (0, 0)))
    before = line_of(lane)
    late = gevent.spawn(together, lambda: lane.read((SLEEP, (600,))))
    gevent.sleep(0.9)
    behind = gevent.spawn(together, lambda: lane.read((ECHO, (0, 0))))
    assert isinstance(late.get(timeout=20)[0], DBAPIError)
    assert (before.is_open, before.has_ended) == (False, False)
    assert lane.read((ECHO, (5, 0)))[0][0][0] == 5
    assert not behind.ready()
    assert isinstance(behind.get(timeout=20)[0], DBAPIError)
    assert before.has_ended
    terminate(*sleepers())


def postgres_makes_lines_for_those_who_wait_when_making_one_fails(lane: SharingLane) -> None:
    lane.close_idle()
    wait_until(lambda: lane.count == 0, 20, "a place is taken")
    real, made = lane.take, []

    def take() -> QuickConnection:
        made.append(None)
        number = len(made)
        gevent.sleep(0.1)
        if number <= 5:
            raise DBAPIError("connect", None, Exception("away"))
        return real()

    lane.take = take  # type: ignore[method-assign]
    try:
        asking = [gevent.spawn(together, lambda n=n: lane.ask((ECHO, (n, 0)))[0][0][0]) for n in range(MANY)]
        gevent.sleep(0.05)
        # One of those who connect.
        asking[6].kill()
        answers = [each.get(timeout=20)[0] for n, each in enumerate(asking) if n != 6]
    finally:
        lane.take = real  # type: ignore[method-assign]
    failed = [n for n, answer in enumerate(answers) if isinstance(answer, Exception)]
    assert failed == [0, 1, 2, 3, 4], answers
    assert answers[5:] == [n for n in range(5, MANY) if n != 6]
    assert is_settled(lane)


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
