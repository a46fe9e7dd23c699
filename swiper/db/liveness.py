"""Gives up a PostgreSQL server that is dead or frozen, in threads, whose statements may take as long as they want.

The kernel of a frozen server still confirms packets, so nothing of the connection itself tells of it.
"""

import logging
import select
import socket
import struct
from collections.abc import Generator
from typing import Any

import psycopg
from psycopg.waiting import Ready, Wait

from swiper.db.hosts import ask_last
from swiper.outages import NO_ANSWER

log = logging.getLogger(__name__)

EVENTS = {Wait.R: select.POLLIN, Wait.W: select.POLLOUT, Wait.RW: select.POLLIN | select.POLLOUT}
# The message SSLRequest of PostgreSQL's protocol. A server answers it with one byte, before it knows who asks.
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
PROBE_SECONDS = 1.0
# A server that forks slowly may miss one.
PROBES = 2
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 8.0


def exhaust_while_alive(gen: Generator[Any, Any, Any], connection: psycopg.Connection[Any]) -> Any:
    """Return what the generator returns, which waits for the answer to a statement on `connection`.

    Raises OperationalError if its server does not answer newcomers either.
    """
    handle, pause = connection.fileno(), FIRST_PAUSE_SECONDS
    try:
        wanted = next(gen)
        while True:
            poller = select.poll()
            poller.register(handle, EVENTS[wanted])
            found = poller.poll(pause * 1000)
            if found:
                pause = FIRST_PAUSE_SECONDS
                wanted = gen.send(_ready(found[0][1]))
            elif not any(is_alive(connection.info.host, connection.info.port) for _ in range(PROBES)):
                log.warning("the database at %s:%s is dead", connection.info.host, connection.info.port)
                ask_last(connection.info.host, connection.info.port)
                raise psycopg.OperationalError(NO_ANSWER)
            else:
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
    except StopIteration as end:
        return end.value


def is_alive(host: str, port: int) -> bool:
    """Return True if a PostgreSQL, or what stands before it, answers at this address. `host` may be a folder."""
    try:
        with _connect(host, port) as probe:
            probe.settimeout(PROBE_SECONDS)
            probe.sendall(SSL_REQUEST)
            return bool(probe.recv(1))
    except OSError:
        return False


def _connect(host: str, port: int) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port), PROBE_SECONDS)
    probe = socket.socket(socket.AF_UNIX)
    try:
        probe.settimeout(PROBE_SECONDS)
        probe.connect(f"{host}/.s.PGSQL.{port}")
    except OSError:
        probe.close()
        raise
    return probe


def _ready(event: int) -> Ready:
    # An error of the socket counts as readable. libpq finds out which one it is.
    readable = Ready.R if event & ~select.POLLOUT else 0
    return Ready(readable | (Ready.W if event & select.POLLOUT else 0))
