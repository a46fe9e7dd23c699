"""The servers that `make test-services` runs against; `python -m tests.services check` says what is missing."""

import os
import shutil
import sys
from importlib.util import find_spec

import pytest
from redis import Redis
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from config.urls import with_driver

URLS = {"postgres": "TEST_POSTGRES_URL", "mariadb": "TEST_MARIADB_URL"}
# Where pylibmc has no wheel, `make test` goes on without it.
NEEDS_PYLIBMC = pytest.mark.skipif(find_spec("pylibmc") is None, reason="make install EXTRAS=memcached")
PROGRAMS = ("nginx", "memcached", "promtool")


def database_url(name: str) -> URL:
    """The address of the server to test on, in a form that SQLAlchemy takes."""
    return make_url(with_driver(os.environ[URLS[name]]))


def redis_url(worker: int) -> str:
    """A database of the test Redis for one worker of the test run; its contents are wiped."""
    base, _, number = os.environ["TEST_REDIS_URL"].rpartition("/")
    return f"{base}/{int(number) + worker}"


def recreate_database(url: URL, name: str) -> URL:
    """Drop and create a database beside the one that `url` names."""
    drop_database(url, name)
    with create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
        suffix = " CHARACTER SET utf8mb4" if url.get_backend_name() == "mysql" else ""
        connection.execute(text(f"CREATE DATABASE {name}{suffix}"))
    return url.set(database=name)


def drop_database(url: URL, name: str) -> None:
    """Drop a database where it exists."""
    with create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as connection:
        force = " WITH (FORCE)" if url.get_backend_name() == "postgresql" else ""
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}{force}"))


def find_missing() -> list[str]:
    """What stands in the way of the run, in words."""
    missing = [f"the program {name} is not installed" for name in PROGRAMS if shutil.which(name) is None]
    for name, variable in URLS.items():
        if variable not in os.environ:
            missing.append(f"{variable} is not set")
            continue
        try:
            create_engine(database_url(name), poolclass=NullPool).connect().close()
        except Exception as error:
            missing.append(f"{variable}: {error}")
    if "/" not in os.environ.get("TEST_REDIS_URL", "").partition("://")[2]:
        return [*missing, "TEST_REDIS_URL is not set, or does not end in the number of a database that may be wiped"]
    try:
        Redis.from_url(redis_url(0)).ping()
    except Exception as error:
        missing.append(f"TEST_REDIS_URL: {error}")
    return missing


if __name__ == "__main__":
    problems = find_missing()
    for problem in problems:
        print(f"make test-services: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)
