"""Connections that greenlets share, each with its own answers; run by `python -m gevent.monkey`, patched like a worker.

Arguments: which server, `redis` or `postgres`, the addresses of database and Redis, and whether the database is behind
PgBouncer. Prints each check's name.
"""

import sys
from typing import Any

from flask import Flask

from tests.fastpath import postgres_pool_checks, postgres_read_checks, postgres_write_checks, redis_checks
from tests.fastpath.together import ECHO, Check
from tests.patched import application

CHECKS = {"redis": [redis_checks], "postgres": [postgres_read_checks, postgres_write_checks, postgres_pool_checks]}


def checks_of(server: str) -> list[Check]:
    found = [each for module in CHECKS[server] for each in vars(module).items()]
    return [check for name, check in found if name.startswith(f"{server}_")]


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
