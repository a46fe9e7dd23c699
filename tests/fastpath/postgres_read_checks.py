"""What the shared connection to PostgreSQL promises to readers; run by `tests/fastpath/shared_connections.py`."""

from typing import Any

import gevent
from sqlalchemy.exc import DBAPIError

from deploy.processes import wait_until
from swiper.extensions import db
from swiper.fastpath.postgres import SharedPostgres
from swiper.fastpath.postgres_statements import Statement
from swiper.http.responses import is_outage
from tests.fastpath.postgres_state import SCRATCH, SLEEP, sleepers, terminate
from tests.fastpath.together import BROKEN, ECHO, MANY, counting, shared_by, together

OWN_TEXT = Statement("SELECT current_query() WHERE $1::int = 0", str)
PREPARED = Statement("SELECT count(*) FROM pg_prepared_statements", int)


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


def postgres_prepares_no_statement_with_a_comment_and_each_keeps_its_own(postgres: SharedPostgres) -> None:
    ((before,),) = postgres.ask((PREPARED, ()))[0]
    comments = [f" /*request_id='{n}'*/" for n in range(MANY)]
    commented = [OWN_TEXT.with_comment(comment) for comment in comments]
    for send in (postgres.read, postgres.ask):
        answers = together(*(lambda each=each, send=send: send((each, (0,)), (each, (0,))) for each in commented))
        assert answers == [[[(OWN_TEXT.sql + comment,)]] * 2 for comment in comments]
    ((after,),) = postgres.ask((PREPARED, ()))[0]
    assert after <= max(before, 1)
    assert not OWN_TEXT.sql.endswith("*/")


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
