"""What the connections to PostgreSQL promise to writers; run by `tests/fastpath/shared_connections.py`."""

from typing import Any

import gevent
from sqlalchemy.exc import DBAPIError

from deploy.processes import wait_until
from swiper.extensions import db
from swiper.fastpath.postgres import FOR_READING, SharedPostgres
from swiper.fastpath.postgres_statements import BEGIN, COMMIT, Statement
from tests.fastpath.postgres_state import SLEEP, idle_pids, is_settled, put, scratch, sleepers, stored
from tests.fastpath.together import BROKEN, ECHO, MANY, together


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
        for write in (
            lambda: postgres.commit((same, (2,))),
            lambda: postgres.ask((BEGIN, ()), (same, (2,)), (COMMIT, ())),
        ):
            (refused,) = together(write)
            assert isinstance(refused, DBAPIError)
            assert refused.orig.sqlstate == "23505"
        assert stored() == [1]


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
            assert postgres.commit((level, ())) == [("read committed",)]
            assert postgres.ask((BEGIN, ()), (level, ()), (COMMIT, ()))[1] == [("read committed",)]
    finally:
        with db.engine.begin() as connection:
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" RESET default_transaction_isolation')
        postgres.close_idle()
