"""What the checks of connections to PostgreSQL store there, and see of its sessions."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg.pq import TransactionStatus

from swiper.extensions import db
from swiper.fastpath.postgres import SharedPostgres
from swiper.fastpath.postgres_statements import BEGIN, COMMIT, Statement, Step

SLEEP = Statement("SELECT pg_sleep($1::int8 / 10.0)::text", str)
PUT = Statement("INSERT INTO shared_scratch VALUES ($1::int8, pg_backend_pid()) RETURNING pid", int)
SCRATCH = Statement("SELECT * FROM shared_scratch", str)


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
