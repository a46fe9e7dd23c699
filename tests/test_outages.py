"""Servers that accept connections and then say nothing: the caller is told in time, and all is well afterwards."""

import os
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from config.settings import Settings
from tests.factories import People
from tests.processes import Visitor, answers_at, environment_of, free_port, gunicorn
from tests.proxy import FreezableProxy

pytestmark = pytest.mark.services

# The limits are 2 s and 1 s (spec); this machine may be busy with other tests, and a proxy stands in the way.
DATABASE_SECONDS = 4.0
REDIS_SECONDS = 3.0
PORTS = {"postgresql": 5432, "mysql": 3306}


def timed(visitor: Visitor, path: str) -> tuple[int, int, float]:
    """Status, code and seconds of one GET."""
    started = time.monotonic()
    answer = visitor.get(path)
    return answer.status_code, answer.json()["code"], time.monotonic() - started


def session_of(people: People) -> str:
    cookie = people.add().client.get_cookie("swiper_session")
    assert cookie
    return cookie.value


def test_a_frozen_database_is_told_in_time_and_recovers(
    app: Flask, people: People, settings: Settings, tmp_path: Path
) -> None:
    assert os.environ.get("TEST_DATABASE"), "this test needs a database server"
    url, sid, port = make_url(settings.database_url), session_of(people), free_port()
    with FreezableProxy(url.host or "", url.port or PORTS[url.get_backend_name()]) as proxy:
        through = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        env = environment_of(settings, DATABASE_URL=through, CACHE_TYPE="null")
        base = f"http://127.0.0.1:{port}"
        with gunicorn(env, port, tmp_path / "log") as server, Visitor(base, sid) as visitor:
            server.wait_for(lambda: answers_at(base), "gunicorn serves")
            assert timed(visitor, "/api/user/profile")[:2] == (200, 0)
            proxy.freeze()
            status, code, seconds = timed(visitor, "/api/user/profile")
            assert (status, code) == (503, 1011)
            assert seconds < DATABASE_SECONDS
            assert timed(visitor, "/readyz")[:2] == (503, 1011)
            assert timed(visitor, "/healthz")[:2] == (200, 0)
            proxy.thaw()
            server.wait_for(lambda: timed(visitor, "/api/user/profile")[:2] == (200, 0), "recovery")


def test_a_frozen_redis_is_told_in_time_and_recovers(
    app: Flask, people: People, settings: Settings, tmp_path: Path
) -> None:
    url, sid, port = urlsplit(settings.redis_url), session_of(people), free_port()
    with FreezableProxy(url.hostname or "", url.port or 6379) as proxy:
        env = environment_of(settings, REDIS_URL=f"redis://127.0.0.1:{proxy.port}{url.path}")
        base = f"http://127.0.0.1:{port}"
        with gunicorn(env, port, tmp_path / "log") as server, Visitor(base, sid) as visitor:
            server.wait_for(lambda: answers_at(base), "gunicorn serves")
            assert timed(visitor, "/api/user/profile")[:2] == (200, 0)
            proxy.freeze()
            status, code, seconds = timed(visitor, "/api/user/profile")
            assert (status, code) == (503, 1011)
            assert seconds < REDIS_SECONDS
            assert timed(visitor, "/api/vip/levels")[:2] == (200, 0)
            assert timed(visitor, "/healthz")[:2] == (200, 0)
            proxy.thaw()
            server.wait_for(lambda: timed(visitor, "/api/user/profile")[:2] == (200, 0), "recovery")
