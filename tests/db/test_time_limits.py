"""A database server that accepts connections and does not answer is given up in time, in a gevent worker."""

import subprocess
import sys

import pytest

from config.settings import ROOT

# Two greenlets share one place in the pool. Its name resolves, the kernel accepts, and nobody answers.
PROGRAM = """
from gevent import monkey
monkey.patch_all()
import socket, sys, time
import gevent
from sqlalchemy import create_engine
from swiper.db.engines import engine_options
from swiper.db.servers import prepare_server

silent = socket.create_server(("127.0.0.1", 0))
url = f"{sys.argv[1]}://user:password@127.0.0.1:{silent.getsockname()[1]}/name"
config = {
    "DATABASE_POOL_SIZE": 1, "DATABASE_MAX_OVERFLOW": 0, "DATABASE_CONNECT_TIMEOUT_SECONDS": 5,
    "DATABASE_POOL_TIMEOUT_SECONDS": 5, "DATABASE_BEHIND_PGBOUNCER": False, "DATABASE_STATEMENT_SECONDS": 0.6,
}
engine = create_engine(url, **engine_options(url, config))
prepare_server(engine, 0.6)

def ask(delay):
    gevent.sleep(delay)
    started = time.monotonic()
    try:
        engine.connect()
    except Exception as error:
        print(type(error).__name__, time.monotonic() - started)

gevent.joinall([gevent.spawn(ask, delay) for delay in (0, 0.1)])
"""


@pytest.mark.parametrize("driver", ["mysql+pymysql", "postgresql+psycopg"])
def test_waiting_for_the_pool_and_connecting_share_one_limit(driver: str) -> None:
    command = [sys.executable, "-c", PROGRAM, driver]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, cwd=ROOT)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [name for name, _ in lines] == ["OperationalError"] * 2
    assert max(float(seconds) for _, seconds in lines) < 1.0
