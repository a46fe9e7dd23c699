"""A committed change is known to every process, whatever Redis does meanwhile; no answer says what is not so."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from swiper.admin import changes
from swiper.auth.session_list import count_sessions
from swiper.cache import invalidations, queries, values
from swiper.cache.models import Invalidation
from swiper.clock import now
from swiper.errors import BannedError, LoginError
from swiper.extensions import cache, db, redis
from swiper.profiles.accounts import delete_account
from swiper.profiles.models import Tombstone, User
from swiper.profiles.profiles import account_key
from swiper.vip.levels import seed_levels
from tests.cache.test_cache import Queries
from tests.factories import People, Person, client_holding, session_id_of
from tests.services import NEEDS_PYLIBMC
from tests.test_redis_refusals import Refusal, private

__all__ = ["private"]

PROFILE, MODIFY, LOGOUT = "/api/user/profile", "/api/user/profile/modify", "/api/user/logout"
WORDS = ["READONLY", "OOM", "MISCONF"]
Two = tuple[Flask, Flask]


@pytest.fixture
def two(app: Flask, make_app: Callable[..., Flask], private: tuple[Redis, Path], tmp_path: Path) -> Two:
    """Two processes' worth of the service on one Redis of their own."""
    url = f"unix://{tmp_path / 'redis.sock'}"
    return make_app(redis_url=url), make_app(redis_url=url)


@pytest.fixture
def person(two: Two) -> Person:
    """Somebody whose account both processes have in the cache."""
    person = People(two[0]).add(nickname="before")
    assert [code_in(app, person) for app in two] == [0, 0]
    return person


def profile_in(app: Flask, person: Person) -> Any:
    return client_holding(app, session_id_of(person.client)).get(PROFILE).json


def code_in(app: Flask, person: Person) -> int:
    code: int = profile_in(app, person)["code"]
    return code


def nicknames(two: Two, person: Person) -> list[str]:
    return [profile_in(app, person)["data"]["nickname"] for app in two]


def finish_all(app: Flask) -> list[str]:
    """Run the sweep, a while later; the names of what is still out of date."""
    with app.app_context():
        db.session.execute(update(Invalidation).values(created_at=Invalidation.created_at, name=Invalidation.name))
        db.session.execute(update(Invalidation).values(created_at=now() - timedelta(seconds=60)))
        db.session.commit()
        app.extensions["celery"].tasks["profiles.finish_invalidations"].run()
        left = list(db.session.scalars(select(Invalidation.name)))
        db.session.remove()
    return left


@pytest.mark.parametrize("word", WORDS)
def test_a_changed_profile_is_seen_by_all_processes(
    two: Two, private: tuple[Redis, Path], person: Person, word: str
) -> None:
    refusal = Refusal(*private, word)
    refusal.begin()
    assert person.post(MODIFY, nickname="after").json["data"]["nickname"] == "after"
    assert nicknames(two, person) == ["after", "after"]
    refusal.end()
    # What Redis still has of the past is not used either.
    assert nicknames(two, person) == ["after", "after"]
    assert finish_all(two[1]) == []
    assert nicknames(two, person) == ["after", "after"]
    with two[0].app_context():
        assert cache.get(account_key(person.id)) is not None


@pytest.mark.parametrize("word", WORDS)
def test_whoever_is_suspended_is_out_of_all_processes(
    two: Two, private: tuple[Redis, Path], person: Person, word: str
) -> None:
    refusal = Refusal(*private, word)
    refusal.begin()
    result = two[1].test_cli_runner().invoke(args=["suspend", person.phone])
    assert (result.exit_code, result.output.strip()) == (0, "The account is suspended.")
    # A Redis whose memory is full takes deletions: there the sessions have ended already.
    expected = LoginError.code if word == "OOM" else BannedError.code
    assert [code_in(app, person) for app in two] == [expected] * 2
    refusal.end()
    finish_all(two[0])
    with two[0].app_context():
        assert count_sessions(person.id) == 0
    assert [code_in(app, person) for app in two] == [LoginError.code] * 2


@pytest.mark.parametrize("word", WORDS)
def test_an_account_that_was_deleted_is_gone_everywhere(
    two: Two, private: tuple[Redis, Path], person: Person, word: str
) -> None:
    """Redis begins to refuse between the code that confirms a deletion and its commit."""
    refusal, session_id = Refusal(*private, word), session_id_of(person.client)
    refusal.begin()
    with two[0].app_context():
        delete_account(person.id)
    assert [client_holding(app, session_id).get(PROFILE).json["code"] for app in two] == [LoginError.code] * 2
    refusal.end()
    with two[0].app_context():
        assert db.session.get(User, person.id) is None
        assert db.session.get(Tombstone, person.id) is not None
        assert finish_all(two[0]) == []
        assert redis.client.keys(f"{{u:{person.id}}}*") == []


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("word", WORDS)
def test_a_logout_that_is_refused_says_so_and_ends_nothing(
    two: Two, private: tuple[Redis, Path], person: Person, word: str, everywhere: bool
) -> None:
    """A Redis whose memory is full takes deletions, so there the logout is one."""
    refusal, session_id = Refusal(*private, word), session_id_of(person.client)
    refusal.begin()
    code = person.post(LOGOUT, all=everywhere).json["code"]
    refusal.end()
    alive = client_holding(two[1], session_id).get(PROFILE).json["code"] == 0
    assert (code, alive) == ((0, False) if word == "OOM" else (1011, True))


@pytest.mark.parametrize("word", WORDS)
def test_a_ban_holds_in_all_processes(two: Two, private: tuple[Redis, Path], word: str) -> None:
    clients = [app.test_client() for app in two]
    assert [client.get("/api/vip/levels").json["code"] for client in clients] == [0, 0]
    refusal = Refusal(*private, word)
    refusal.begin()
    assert two[1].test_cli_runner().invoke(args=["ban-ip", "127.0.0.1"]).exit_code == 0
    assert [client.get("/api/vip/levels").json["code"] for client in clients] == [BannedError.code] * 2
    assert two[0].test_cli_runner().invoke(args=["unban-ip", "127.0.0.1"]).exit_code == 0
    assert [client.get("/api/vip/levels").json["code"] for client in clients] == [0, 0]


@pytest.mark.parametrize("word", WORDS)
def test_a_changed_level_is_seen_in_all_processes(two: Two, private: tuple[Redis, Path], word: str) -> None:
    def names() -> list[str]:
        return [app.test_client().get("/api/vip/levels").json["data"][1]["name"] for app in two]

    with two[0].app_context():
        seed_levels()
        names()
        refusal = Refusal(*private, word)
        refusal.begin()
        changes.change_level(None, 1, "Gold", 700, [])
    assert names() == ["Gold", "Gold"]
    refusal.end()
    assert names() == ["Gold", "Gold"]
    finish_all(two[1])
    assert names() == ["Gold", "Gold"]


def test_a_redis_that_comes_back_without_its_last_writes_changes_nothing(
    two: Two, private: tuple[Redis, Path], person: Person
) -> None:
    client, _ = private
    past = {key: client.dump(key) for key in client.scan_iter()}
    assert person.post(MODIFY, nickname="after").json["code"] == 0
    client.flushall()
    for key, value in past.items():
        client.restore(key, 0, value)
    assert nicknames(two, person) == ["after", "after"]
    assert finish_all(two[0]) == []
    assert nicknames(two, person) == ["after", "after"]


@pytest.mark.parametrize("kind", ["file", "redis", pytest.param("memcached", marks=NEEDS_PYLIBMC)])
def test_a_cache_that_cannot_drop_a_value_is_not_used_for_it(
    build: Callable[..., Flask], people: People, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Nobody listens where this memcached should be; the others fail by force."""
    one, other = (build(kind, cache_memcached_servers=["127.0.0.1:1"]) for _ in range(2))
    person = people.add(nickname="before")
    assert nicknames((one, other), person) == ["before", "before"]
    with monkeypatch.context() as refusing, one.app_context():
        if kind != "memcached":
            for method in ("set", "delete"):
                refusing.setattr(cache.cache, method, lambda *_, **__: _refuse())
        client = client_holding(one, session_id_of(person.client))
        assert client.post(MODIFY, json={"nickname": "after"}).json["code"] == 0
        assert nicknames((one, other), person) == ["after", "after"]
        assert finish_all(one) == ["account"]
    assert nicknames((one, other), person) == ["after", "after"]


def _refuse() -> None:
    raise OSError("the disk is full")


def test_nothing_is_dropped_for_good_before_a_server_may_have_come_back(two: Two, person: Person) -> None:
    person.post(MODIFY, nickname="after")
    with two[0].app_context():
        assert invalidations.settled() == []
        db.session.execute(update(Invalidation).values(created_at=now() - timedelta(seconds=60)))
        db.session.commit()
        assert [item[:2] for item in invalidations.settled()] == [(person.id, "account")]


def test_a_process_learns_in_time_and_asks_no_more_often(
    two: Two, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two looks a request costs no statement, and what was changed here is known here at once."""
    here, there = two
    for app in two:
        monkeypatch.setitem(app.config, "LOCAL_REFRESH_SECONDS", 600)
    assert nicknames(two, person) == ["before", "before"]
    with Queries(there, also_looks=True) as asked:
        assert nicknames(two, person) == ["before", "before"]
    assert asked.count == 0
    with here.app_context():
        changes.suspend(None, person.id, "", None)
    assert code_in(here, person) != 0
    there.extensions["pending"].due_at = 0
    assert code_in(there, person) != 0


def test_too_many_rows_make_a_process_trust_nothing(two: Two, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MOST_PENDING", 1)
    with two[0].app_context():
        cached = account_key(person.id)
        assert not values.is_pending(person.id, "account")
        db.session.add_all([Invalidation(uid=number, id=number, name="account") for number in (1, 2)])
        db.session.commit()
        assert values.is_pending(person.id, "account")
        assert cache.get(cached) is not None


def test_a_process_that_cannot_read_the_rows_goes_on_with_what_it_knows(
    two: Two, person: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise OperationalError("", {}, Exception())

    changes_known = person.post(MODIFY, nickname="after").json["code"]
    assert changes_known == 0
    monkeypatch.setattr(queries, "pending_items", fail)
    caplog.clear()
    assert nicknames(two[:1], person) == ["after"]  # type: ignore[arg-type]
    assert nicknames(two[:1], person) == ["after"]  # type: ignore[arg-type]
    assert [record.levelname for record in caplog.records if record.name == "swiper.cache.values"] == ["WARNING"]
