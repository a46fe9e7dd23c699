"""Asks a database of two hosts, in threads or, run by `python -m gevent.monkey`, like a web worker.

Arguments: FAST_PATHS, the addresses of database and Redis. It prints how long each kind of statement takes, waits for a
line on stdin, and prints how long each takes until it succeeds again.
"""

import sys
import time
from collections.abc import Callable

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from swiper.db.statements import Statement, read, write
from swiper.extensions import db
from tests.patched import application

READ = Statement("SELECT id FROM users WHERE id = :uid", int)
WRITE = Statement("UPDATE users SET nickname = nickname WHERE id = :uid")
GIVEN_UP_SECONDS = 20.0


def in_transaction() -> None:
    with db.engine.begin() as connection:
        connection.execute(text("SELECT 1"))


ASKS: dict[str, Callable[[], object]] = {
    "read": lambda: read((READ, {"uid": 1})),
    "write": lambda: write("nothing", (WRITE, {"uid": 1})),
    "transaction": in_transaction,
}


def seconds_until(ask: Callable[[], object]) -> float:
    began = time.monotonic()
    while True:
        try:
            ask()
        except SQLAlchemyError:
            if time.monotonic() - began > GIVEN_UP_SECONDS:
                raise
        else:
            return time.monotonic() - began


def main() -> None:
    fast_paths, database_url, redis_url = sys.argv[1:]
    changes = {"fast_paths": fast_paths, "database_pool_size": 4, "database_max_overflow": 4, "log_level": "ERROR"}
    with application(database_url, redis_url, **changes) as app, app.app_context():
        print("first", *(seconds_until(ask) for ask in ASKS.values()), flush=True)
        sys.stdin.readline()
        began = time.monotonic()
        print("again", *(seconds_until(ask) for ask in ASKS.values()))
        print("in all", time.monotonic() - began)


if __name__ == "__main__":
    main()
