"""The cache on each backend that CACHE_TYPE names: the shared page, and what belongs to one user."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, update

from config.settings import Settings
from swiper.bans.hooks import is_banned
from swiper.bans.services import ban_network
from swiper.cache.values import get_or_load, invalidate
from swiper.extensions import cache, db
from swiper.profiles.profile_changes import change_profile
from swiper.profiles.profiles import account_key, find_account
from swiper.vip.levels import LEVELS_PAGE_KEY, vip_status_of
from swiper.vip.models import VipLevel
from tests.factories import People, forget_levels
from tests.processes import Program, environment_of, free_port

MakeApp = Callable[..., Flask]
LEVELS = "/api/vip/levels"
SHARED = ["file", "redis"]
KEEPING = ["simple", *SHARED]
CHANGE_NICKNAME = """
import sys
from swiper import create_app
from swiper.profiles.profile_changes import change_profile
from swiper.vip.levels import vip_status_of
with create_app().app_context():
    uid = int(sys.argv[1])
    change_profile(uid, {"nickname": sys.argv[2]}, vip_status_of(uid))
"""


class Queries:
    """Counts the statements that an application sends to its database."""

    def __init__(self, app: Flask, *, also_looks: bool = False) -> None:
        self.app = app
        self.also_looks = also_looks
        self.count = 0

    def note(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        # With LOCAL_REFRESH_SECONDS=0 each look at what is out of date is a statement.
        self.count += self.also_looks or not ("invalidations" in statement or statement.startswith("BEGIN"))

    def __enter__(self) -> "Queries":
        with self.app.app_context():
            event.listen(db.engine, "before_cursor_execute", self.note)
        return self

    def __exit__(self, *_: object) -> None:
        with self.app.app_context():
            event.remove(db.engine, "before_cursor_execute", self.note)


def reprice(app: Flask, cents: int) -> None:
    """What an operator's change of level 1 does."""
    with app.app_context():
        db.session.execute(update(VipLevel).where(VipLevel.level == 1).values(price_cents=cents))
        db.session.commit()
        forget_levels()
        db.session.remove()


def price(app: Flask) -> float:
    answer = app.test_client().get(LEVELS)
    assert answer.status_code == 200
    found: float = answer.json["data"][1]["price"]
    return found


def rename(app: Flask, uid: int, nickname: str) -> None:
    with app.app_context():
        change_profile(uid, {"nickname": nickname}, vip_status_of(uid))
        db.session.remove()


def nickname(app: Flask, uid: int) -> str:
    with app.app_context():
        account = find_account(uid)
        db.session.remove()
    assert account is not None
    return account.nickname


@pytest.mark.parametrize("kind", KEEPING)
def test_levels_page_comes_from_the_cache_until_a_write(build: MakeApp, kind: str) -> None:
    app = build(kind)
    first = app.test_client().get(LEVELS)
    with Queries(app) as queries:
        second = app.test_client().get(LEVELS)
    assert queries.count == 0
    assert second.data == first.data
    with app.app_context():
        assert cache.get(LEVELS_PAGE_KEY)
    reprice(app, 700)
    assert price(app) == 7.0


def test_null_cache_keeps_nothing(build: MakeApp) -> None:
    app = build("null")
    assert price(app) == 5.0
    with app.app_context():
        db.session.execute(update(VipLevel).where(VipLevel.level == 1).values(price_cents=600))
        db.session.commit()
        assert cache.get(LEVELS_PAGE_KEY) is None
    began = time.monotonic()
    with Queries(app) as queries:
        assert price(app) == 6.0
    assert queries.count > 0
    # Nobody waits for a page that another is thought to render.
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("kind", KEEPING)
def test_levels_page_has_an_etag_and_no_cookie(build: MakeApp, kind: str) -> None:
    client = build(kind).test_client()
    first, second = client.get(LEVELS), client.get(LEVELS)
    assert first.headers["ETag"] == second.headers["ETag"]
    assert client.get(LEVELS, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert "Set-Cookie" not in second.headers


@pytest.mark.parametrize("kind", SHARED)
def test_page_is_not_rendered_from_an_outdated_copy(build: MakeApp, kind: str) -> None:
    """Another process keeps its own copy of the levels for a minute; it must not become everyone's page for longer."""
    ours, other = build(kind), build(kind, local_refresh_seconds=60)
    assert price(other) == 5.0
    reprice(ours, 800)
    del other.extensions["local_copies"][LEVELS_PAGE_KEY]
    assert price(other) == 8.0
    assert price(ours) == 8.0


@pytest.mark.parametrize("kind", KEEPING)
def test_failed_page_is_not_kept_and_keeps_nobody_waiting(
    build: MakeApp, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = build(kind)
    monkeypatch.setattr("swiper.vip.routes.levels.list_levels", lambda: 1 / 0)
    client, began = app.test_client(), time.monotonic()
    assert [client.get(LEVELS).status_code for _ in range(3)] == [500] * 3
    assert time.monotonic() - began < 1.5
    monkeypatch.undo()
    assert client.get(LEVELS).status_code == 200


@pytest.mark.parametrize("kind", KEEPING)
def test_profile_is_remembered_until_its_write(build: MakeApp, people: People, kind: str) -> None:
    app, uid = build(kind), people.add(nickname="before").id
    assert nickname(app, uid) == "before"
    with Queries(app) as queries:
        assert nickname(app, uid) == "before"
    assert queries.count == 0
    rename(app, uid, "after")
    assert nickname(app, uid) == "after"


def test_profile_is_read_anew_without_a_cache(build: MakeApp, people: People) -> None:
    app, uid = build("null"), people.add(nickname="before").id
    assert nickname(app, uid) == "before"
    rename(people.app, uid, "after")
    assert nickname(app, uid) == "after"


@pytest.mark.parametrize("kind", SHARED)
def test_write_in_another_process_is_seen(
    build: MakeApp, settings: Settings, people: People, kind: str, tmp_path: Path
) -> None:
    app, uid = build(kind), people.add(nickname="before").id
    assert nickname(app, uid) == "before"
    env = environment_of(settings, CACHE_TYPE=kind, CACHE_DIR=tmp_path / "cache")
    subprocess.run([sys.executable, "-c", CHANGE_NICKNAME, str(uid), "after"], env=env, check=True, timeout=60)
    assert nickname(app, uid) == "after"


@pytest.mark.parametrize("kind", KEEPING)
def test_users_do_not_see_each_other(build: MakeApp, people: People, kind: str) -> None:
    app, first, second = build(kind), people.add(nickname="first").id, people.add(nickname="second").id
    for _ in range(2):
        assert (nickname(app, first), nickname(app, second)) == ("first", "second")


@pytest.mark.parametrize("kind", ["null", *KEEPING])
def test_bans_hold_on_every_cache(build: MakeApp, kind: str) -> None:
    app = build(kind)
    with app.app_context():
        assert not is_banned("10.1.2.3")
        ban_network("10.1.2.0/24")
        assert is_banned("10.1.2.3")
        db.session.remove()


@pytest.mark.parametrize("kind", KEEPING)
def test_value_loaded_before_a_write_is_not_kept_after_it(build: MakeApp, kind: str) -> None:
    app = build(kind)
    stored = ["old"]

    def load_slowly() -> str:
        value = stored[0]
        if value == "old":
            # The write comes in between, with its own `invalidate`.
            stored[0] = "new"
            invalidate("{u:42}:thing")
        return value

    with app.app_context():
        get_or_load("{u:42}:thing", load_slowly, 60)
        assert get_or_load("{u:42}:thing", load_slowly, 60) == "new"


def test_unreachable_redis_cache_costs_speed_only(build: MakeApp, people: People, tmp_path: Path) -> None:
    uid = people.add(nickname="before").id
    app = build("redis", redis_url=f"unix://{tmp_path / 'nowhere.sock'}")
    assert nickname(app, uid) == "before"
    assert price(app) == 5.0


@pytest.fixture
def memcached(tmp_path: Path) -> Iterator[tuple[Program, str]]:
    """A real memcached and its address."""
    port = free_port()
    command = (shutil.which("memcached") or "memcached", "-l", "127.0.0.1", "-p", port, "-U", 0, "-m", 16)
    as_root = ("-u", "root") if os.getuid() == 0 else ()
    with Program((*command, *as_root), {"PATH": os.environ["PATH"]}, tmp_path / "memcached.log") as server:
        # It says nothing when it is ready.
        time.sleep(0.5)
        assert server.process.poll() is None, server.output
        yield server, f"127.0.0.1:{port}"


@pytest.mark.services
class TestMemcached:
    """The same on a real memcached."""

    @pytest.fixture
    def app_on(self, build: MakeApp, memcached: tuple[Program, str]) -> Callable[..., Flask]:
        def make(**changes: Any) -> Flask:
            return build("memcached", cache_memcached_servers=[memcached[1]], **changes)

        return make

    def test_levels_page_comes_from_the_cache_until_a_write(self, app_on: Callable[..., Flask]) -> None:
        ours, other = app_on(), app_on(local_refresh_seconds=60)
        assert price(ours) == price(other) == 5.0
        with Queries(other) as queries:
            assert price(other) == 5.0
        assert queries.count == 0
        reprice(ours, 700)
        del other.extensions["local_copies"][LEVELS_PAGE_KEY]
        assert price(other) == 7.0

    def test_profile_is_remembered_until_a_write_in_another_process(
        self, app_on: Callable[..., Flask], people: People, settings: Settings, memcached: tuple[Program, str]
    ) -> None:
        app, uid = app_on(), people.add(nickname="before").id
        assert nickname(app, uid) == "before"
        with app.app_context():
            # Braces and colons of our keys are legal in memcached's.
            assert cache.get(account_key(uid)) is not None
        with Queries(app) as queries:
            assert nickname(app, uid) == "before"
        assert queries.count == 0
        env = environment_of(settings, CACHE_TYPE="memcached", CACHE_MEMCACHED_SERVERS=memcached[1])
        subprocess.run([sys.executable, "-c", CHANGE_NICKNAME, str(uid), "after"], env=env, check=True, timeout=60)
        assert nickname(app, uid) == "after"

    def test_bans_hold(self, app_on: Callable[..., Flask]) -> None:
        with app_on().app_context():
            assert not is_banned("10.1.2.3")
            ban_network("10.1.2.0/24")
            assert is_banned("10.1.2.3")
            db.session.remove()

    def test_frozen_server_delays_a_request_by_less_than_a_second(
        self, app_on: Callable[..., Flask], people: People, memcached: tuple[Program, str]
    ) -> None:
        """libmemcached waits in C, where gevent cannot switch; its own limit would be 5 s for each command."""
        app, uid = app_on(), people.add(nickname="before").id
        assert nickname(app, uid) == "before"
        memcached[0].send(signal.SIGSTOP)
        try:
            began = time.monotonic()
            assert nickname(app, uid) == "before"
            assert time.monotonic() - began < 1
        finally:
            memcached[0].send(signal.SIGCONT)

    def test_killed_server_costs_speed_only(
        self, app_on: Callable[..., Flask], people: People, memcached: tuple[Program, str]
    ) -> None:
        app, uid = app_on(), people.add(nickname="before").id
        assert nickname(app, uid) == "before"
        memcached[0].kill()
        assert nickname(app, uid) == "before"
        rename(app, uid, "after")
        assert nickname(app, uid) == "after"
        assert price(app) == 5.0
