"""Servers that accept connections and then say nothing: the caller is told in time, and all is well afterwards."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from chaos.burst import RequestSpec, burst
from config.settings import Settings
from swiper.db.mariadb import LimitedPyMySQL
from swiper.extensions import db
from swiper.social.models import MATCHED, Friend, LikeIn, Pair, Swipe
from swiper.vip.models import Quota
from tests.factories import People, Person, session_id_of
from tests.processes import Program, Visitor, answers_at, environment_of, free_port, gunicorn, patched_program
from tests.proxy import FreezableProxy

pytestmark = pytest.mark.services

# The limits are 2 s and 1 s (spec); this machine may be busy with other tests, and a proxy stands in the way.
DATABASE_SECONDS = 4.0
REDIS_SECONDS = 3.0
# As either driver sends it, and not as a part of "READ COMMITTED"; or the swipe where it is a transaction by itself.
COMMIT = rb"COMMIT(\0|$)|WITH pair AS"
PORTS = {"postgresql": 5432, "mysql": 3306}
PROFILE, READY, ALIVE, LEVELS = "/api/user/profile", "/readyz", "/healthz", "/api/vip/levels"
LIKE = "/api/social/like"


def like(visitor: Visitor, target: Person) -> Any:
    return visitor.post(LIKE, json={"sid": str(target.id)})


@contextmanager
def proxied_database(settings: Settings) -> Iterator[tuple[FreezableProxy, str]]:
    """A proxy before the database server, and the database's address through it."""
    assert os.environ.get("TEST_DATABASE"), "this test needs a database server"
    url = make_url(settings.database_url)
    with FreezableProxy(url.host or "", url.port or PORTS[url.get_backend_name()]) as proxy:
        yield proxy, url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)


@contextmanager
def serving(settings: Settings, folder: Path, **changes: object) -> Iterator[tuple[str, Program]]:
    """gunicorn with one worker: its address and its program."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with gunicorn(environment_of(settings, **changes), port, folder / "log") as server:
        server.wait_for(lambda: answers_at(base), "gunicorn does not serve")
        yield base, server


def ask_for_profile(visitor: Visitor) -> Any:
    return visitor.get(PROFILE)


def freeze_and_thaw(
    proxy: FreezableProxy,
    base: str,
    server: Program,
    person: Person,
    ask: Callable[[Visitor], Any] = ask_for_profile,
) -> tuple[dict[str, int], float]:
    """Status by path while the proxied server is frozen, and the seconds that `ask` took to be refused.

    `ask` is answered before and, after a while, again afterwards.
    """
    with Visitor(base, session_id_of(person.client)) as visitor:
        assert ask(visitor).json()["code"] == 0
        proxy.freeze()
        started = time.monotonic()
        assert ask(visitor).json()["code"] == 1011
        seconds = time.monotonic() - started
        statuses = {path: visitor.get(path).status_code for path in (PROFILE, READY, ALIVE, LEVELS)}
        proxy.thaw()
        server.wait_for(lambda: ask(visitor).status_code == 200, "recovery")
    return statuses, seconds


def test_a_frozen_database_is_told_in_time_and_recovers(
    app: Flask, people: People, settings: Settings, tmp_path: Path
) -> None:
    with (
        proxied_database(settings) as (proxy, through),
        serving(settings, tmp_path, DATABASE_URL=through, CACHE_TYPE="null") as (base, server),
    ):
        statuses, seconds = freeze_and_thaw(proxy, base, server, people.add())
    assert statuses == {PROFILE: 503, READY: 503, ALIVE: 200, LEVELS: 503}
    assert seconds < DATABASE_SECONDS


def test_a_swipe_that_meets_a_frozen_database_is_told_in_time_and_can_be_repeated(
    app: Flask, people: People, settings: Settings, tmp_path: Path
) -> None:
    """The account is cached, so the swipe's own transaction is the first that meets the silence."""
    target = people.woman()
    with (
        proxied_database(settings) as (proxy, through),
        serving(settings, tmp_path, DATABASE_URL=through) as (
            base,
            server,
        ),
    ):
        statuses, seconds = freeze_and_thaw(proxy, base, server, people.add(), lambda visitor: like(visitor, target))
    assert statuses == {PROFILE: 200, READY: 503, ALIVE: 200, LEVELS: 200} | {LEVELS: statuses[LEVELS]}
    assert seconds < DATABASE_SECONDS


def test_a_frozen_redis_is_told_in_time_and_recovers(
    app: Flask, people: People, settings: Settings, tmp_path: Path
) -> None:
    url = urlsplit(settings.redis_url)
    with FreezableProxy(url.hostname or "", url.port or 6379) as proxy:
        through = f"redis://127.0.0.1:{proxy.port}{url.path}"
        with serving(settings, tmp_path, REDIS_URL=through) as (base, server):
            statuses, seconds = freeze_and_thaw(proxy, base, server, people.add())
    assert statuses == {PROFILE: 503, READY: 503, ALIVE: 200, LEVELS: 200}
    assert seconds < REDIS_SECONDS


def whole_swipe(app: Flask, person: Person, target: Person) -> list[bool]:
    """For each row that a like of a liker writes: is it there?"""
    one, other = sorted((person.id, target.id))
    with app.app_context():
        db.session.rollback()
        pair, quota = db.session.get(Pair, (one, other)), db.session.get(Quota, (person.id, "like"))
        found = [
            db.session.get(Swipe, (person.id, target.id)) is not None,
            db.session.get(LikeIn, (target.id, person.id)) is not None,
            db.session.get(Friend, (one, other)) is not None,
            pair is not None and pair.mask == MATCHED,
            quota is not None and quota.used == 1,
        ]
        db.session.remove()
    return found


@pytest.mark.parametrize("is_sent", [False, True])
def test_a_swipe_whose_commit_meets_silence_is_told_in_time_and_stored_wholly_or_not_at_all(
    app: Flask, people: People, settings: Settings, tmp_path: Path, is_sent: bool
) -> None:
    """The server has the COMMIT or not; nobody who waits can know, and the same swipe again brings certainty."""
    person, target = people.add(), people.woman()
    assert target.like(person).status_code == 200
    with (
        proxied_database(settings) as (proxy, through),
        serving(settings, tmp_path, DATABASE_URL=through) as (base, _),
        Visitor(base, session_id_of(person.client)) as visitor,
    ):
        assert ask_for_profile(visitor).json()["code"] == 0
        proxy.freeze_at(COMMIT, is_sent=is_sent)
        started = time.monotonic()
        code = like(visitor, target).json()["code"]
        seconds = time.monotonic() - started
        assert code == 1011
        assert not proxy.flows.is_set()
        assert whole_swipe(app, person, target) == [is_sent] * 5
        proxy.thaw()
        assert like(visitor, target).json() == {"code": 0, "data": {"is_matched": True}}
    assert whole_swipe(app, person, target) == [True] * 5
    assert seconds < DATABASE_SECONDS


def test_silence_at_any_step_of_a_connections_life_is_given_up_in_time(
    app: Flask, settings: Settings, tmp_path: Path
) -> None:
    """While connecting, while the driver and SQLAlchemy ask a new connection this and that, and ever after."""
    limit = 0.2
    arguments = (settings.database_url, limit)
    with patched_program(settings, tmp_path / "log", "tests.silent_database", *arguments) as program:
        assert program.wait(200) == 0, program.output
    lines = program.output.splitlines()
    assert lines[-1] == "done", program.output
    seconds = [float(line) for line in lines if line.startswith(tuple("0123456789.")) and " " not in line]
    assert len(seconds) > 5
    assert max(seconds) < limit + DATABASE_SECONDS


def test_tls_that_is_offered_is_prepared_once_and_not_for_each_connection(app: Flask) -> None:
    """Reading all certificates of the system for each would keep a worker busy just when it must connect anew."""
    one, other = (
        LimitedPyMySQL(defer_connect=True, limit_seconds=1),
        LimitedPyMySQL(defer_connect=True, limit_seconds=1),
    )
    assert one.ctx is other.ctx
    assert LimitedPyMySQL(defer_connect=True, limit_seconds=1, ssl_verify_cert=True).ctx is not one.ctx
    with app.app_context(), db.engine.connect() as connection:
        used = connection.connection.dbapi_connection
        assert isinstance(used, LimitedPyMySQL) is (db.engine.dialect.name == "mysql")


def test_a_busy_process_does_not_take_its_own_lateness_for_the_servers(
    app: Flask, people: People, settings: Settings, tmp_path: Path
) -> None:
    """The worker is stopped while it waits, connecting or for an answer, and goes on when its limit has long passed."""
    limit = 3.0
    target = people.woman()
    likes = [RequestSpec("POST", LIKE, {"sid": str(target.id)}, session_id_of(people.add().client)) for _ in range(6)]
    with (
        proxied_database(settings) as (proxy, through),
        serving(settings, tmp_path, DATABASE_URL=through, DATABASE_STATEMENT_SECONDS=limit) as (base, server),
        ThreadPoolExecutor(1) as pool,
    ):
        (worker,) = server.children()
        proxy.freeze()
        answering = pool.submit(burst, base, likes)
        time.sleep(limit / 3)
        worker.send_signal(signal.SIGSTOP)
        proxy.thaw()
        time.sleep(limit)
        worker.send_signal(signal.SIGCONT)
        answers = answering.result()
    assert [answer.code for answer in answers] == [0] * len(likes)


def test_a_request_that_is_refused_asks_a_silent_redis_once(
    app: Flask, make_app: Callable[..., Flask], settings: Settings
) -> None:
    """Sessions and cache live in the same Redis; the limit of a second has room for few waits."""
    url = urlsplit(settings.redis_url)
    with FreezableProxy(url.hostname or "", url.port or 6379) as proxy:
        client = make_app(redis_url=f"redis://127.0.0.1:{proxy.port}{url.path}").test_client()
        client.set_cookie("swiper_session", "1." + "A" * 43)
        proxy.freeze()
        assert client.get(PROFILE).json["code"] == 1011
        assert proxy.accepted == 1
