"""Asks each server that the settings name, all at once and for a limited time."""

import re
import socket
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import unquote

from celery import Celery
from flask import Flask
from kombu.exceptions import KombuError
from redis.exceptions import RedisError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from config.base import Fault
from config.settings import Settings
from config.urls import for_celery
from swiper.db.checks import DatabaseState, find_cluster_fault, find_schema_fault, state_of
from swiper.db.poolers import loses_prepared_statements
from swiper.db.replica_lag import Replica, UnmeasuredError, has_caught_up
from swiper.db.replicas import replicas_of_app
from swiper.extensions import db, redis
from swiper.outages import is_redis_away
from swiper.redis_client import AppRedis
from swiper.site_marker import Marker, own_marker

# Quotas and codes end by clocks. A few seconds are the time that an answer may take.
CLOCK_SECONDS = 5.0
# A replica is watched for so long at most.
FOLLOWING_SECONDS = 2.0
MEMCACHED_PORT = 11211
SERVER_ERRORS = (SQLAlchemyError, RedisError, KombuError, OSError)
PASSWORDS = re.compile(r"://[^:/@\s]*:([^@\s]+)@")


class Probe(NamedTuple):
    """One server, the variable that names it, and what asks it: it yields what is wrong."""

    variable: str
    server: str
    ask: Callable[[], Iterator[str]]


def probes_of(app: Flask, settings: Settings) -> list[Probe]:
    """Return a probe for each server that the application uses. Needs an app context."""
    is_preparing = not settings.database_behind_pgbouncer
    probes = [Probe("DATABASE_URL", "the database", partial(_ask_database, db.engine, is_preparing))]
    for replica in replicas_of_app():
        probes.append(Probe("DATABASE_REPLICA_URLS", replica.name, partial(_ask_replica, replica)))
    probes.append(Probe("REDIS_URL", "Redis", partial(_ask_redis, redis.client, own_marker())))
    if settings.celery_broker_url != for_celery(settings.redis_url):
        celery: Celery = app.extensions["celery"]
        probes.append(Probe("CELERY_BROKER_URL", "the broker", partial(_ask_broker, celery)))
    if settings.cache_type == "memcached":
        for address in settings.cache_memcached_servers:
            ask = partial(_ask_memcached, address)
            probes.append(Probe("CACHE_MEMCACHED_SERVERS", f"memcached at {address}", ask))
    return probes


def run_probes(probes: list[Probe], seconds: float, urls: str) -> list[Fault]:
    """Run all of them at once, for `seconds` at most. Passwords of `urls` are not shown.

    Raises the error of a probe if it is none of a server.
    """
    results: list[list[Fault | Exception]] = [[] for _ in probes]
    threads = [
        # A server that never answers must not keep the command from ending.
        Thread(target=_run, args=(probe, result, urls), daemon=True)
        for probe, result in zip(probes, results, strict=True)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    faults = []
    for probe, result, thread in zip(probes, results, threads, strict=True):
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            faults.append(Fault(probe.variable, f"{probe.server} has not answered within {seconds:g} s"))
        for each in result:
            if isinstance(each, Exception):
                raise each
            faults.append(each)
    return faults


def _run(probe: Probe, result: list[Fault | Exception], urls: str) -> None:
    try:
        result.extend(Fault(probe.variable, text) for text in probe.ask())
    except SERVER_ERRORS as error:
        refuses = isinstance(error, RedisError) and not is_redis_away(error)
        verb = "refuses a command" if refuses else "does not answer"
        result.append(Fault(probe.variable, f"{probe.server} {verb}: {_reason_of(error, urls)}"))
    except Exception as error:
        # The main thread raises it.
        result.append(error)


def _reason_of(error: BaseException, urls: str) -> str:
    """Return the server's or the driver's own words in one line, without passwords."""
    words = " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__
    for password in PASSWORDS.findall(urls):
        words = words.replace(password, "***").replace(unquote(password), "***")
    return words


def _ask_database(engine: Engine, is_preparing: bool) -> Iterator[str]:
    with engine.connect() as connection:
        state = yield from _ask_state(connection, "the database")
        if state.is_read_only:
            yield "the database takes no writes (it is a replica, or read-only)"
        yield from filter(None, (find_schema_fault(connection), find_cluster_fault(connection)))
    if is_preparing and loses_prepared_statements(engine.url):
        yield "a pooler such as PgBouncer stands before the database: set DATABASE_BEHIND_PGBOUNCER=true"


def _ask_replica(replica: Replica) -> Iterator[str]:
    with replica.database.main.connect() as connection:
        yield from _ask_state(connection, "a replica")
    seconds = min(replica.lag_seconds, FOLLOWING_SECONDS)
    try:
        if not has_caught_up(replica, seconds):
            yield f"{replica.name} is more than {seconds:g} s behind the database, which answers instead"
    except UnmeasuredError as error:
        yield f"nobody knows how far {replica.name} is behind, so it is not used: {error}"


def _ask_state(connection: Connection, server: str) -> Generator[str, None, DatabaseState]:
    """Yield what is wrong with the server's clock, and return its state."""
    asked = time.time()
    state = state_of(connection)
    if state.clock is not None:
        yield from _compare_clocks(server, state.clock, asked)
    return state


def _ask_redis(client: AppRedis, marker: Marker) -> Iterator[str]:
    asked = time.time()
    seconds, microseconds = client.time()
    yield from _compare_clocks("Redis", seconds + microseconds / 1_000_000, asked)
    # It may answer and yet refuse what writes.
    client.set(client.key("check:write"), b"1", px=1000)
    if marker.is_foreign(client):
        yield marker.fault


def _ask_broker(celery: Celery) -> Iterator[str]:
    with celery.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        # Redis is asked when a channel is opened.
        connection.channel().close()
    yield from ()


def _ask_memcached(address: str) -> Iterator[str]:
    host, mark, port = address.rpartition(":")
    target = (host.strip("[]"), int(port)) if mark else (address, MEMCACHED_PORT)
    socket.create_connection(target, timeout=5).close()
    yield from ()


def _compare_clocks(server: str, clock: float, asked: float) -> Iterator[str]:
    """Yield how far this machine's clock is from that of a server, asked at the time `asked`, if it is too far."""
    # The server has looked at its clock between these two times.
    answered = time.time()
    apart = asked - clock if clock < asked else min(0.0, answered - clock)
    if abs(apart) > CLOCK_SECONDS:
        side = "ahead of" if apart > 0 else "behind"
        yield f"the clock of this machine is {abs(apart):.0f} s {side} that of {server}"


def urls_of(settings: Settings) -> str:
    """Return all URLs that may have a password, as one text."""
    urls: list[Any] = [settings.database_url, *settings.database_replica_urls, settings.redis_url]
    return "\n".join([*urls, settings.celery_broker_url, settings.celery_result_backend])
