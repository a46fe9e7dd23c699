"""`/readyz`: which part fails, what takes an instance out of rotation, and what strangers can do with it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from config.settings import ROOT
from deploy.embedded_redis import answers, redis_command
from swiper.db.revisions import is_behind
from swiper.extensions import db
from swiper.tasks.heartbeat import Part, write_heartbeat
from swiper.web import health, queries
from tests.factories import at_once
from tests.processes import Program

WELL = {"database": True, "schema": True, "redis": True}
REVISIONS = [script.revision for script in ScriptDirectory(str(ROOT / "migrations")).walk_revisions()]


@contextmanager
def stored_revision(app: Flask, revision: str) -> Iterator[None]:
    """The database says meanwhile that it has this revision."""

    def store(name: str) -> None:
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(db.text("UPDATE alembic_version SET version_num = :name"), {"name": name})

    store(revision)
    try:
        yield
    finally:
        store(REVISIONS[0])


def ask(client: FlaskClient) -> tuple[int, dict[str, Any]]:
    answer = client.get("/readyz")
    return answer.status_code, answer.json["data"]


# --- what is well and what fails ---


def test_a_worker_or_beat_that_is_away_is_told_and_keeps_the_instance_in_rotation(
    app: Flask, client: FlaskClient
) -> None:
    assert ask(client) == (200, WELL | {"worker": None, "beat": False})
    with app.app_context():
        write_heartbeat(Part.BEAT)
    assert ask(client) == (200, WELL | {"worker": False, "beat": True})
    with app.app_context():
        write_heartbeat(Part.WORKER)
    assert ask(client) == (200, WELL | {"worker": True, "beat": True})


def test_a_database_without_a_migration_of_this_release_takes_the_instance_out(
    app: Flask, make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str]
) -> None:
    client = make_app().test_client()
    with stored_revision(app, REVISIONS[1]):
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json["code"]) == (503, 1011)
    assert answer.json["data"] == {"database": True, "schema": False, "redis": True, "worker": None, "beat": False}
    # Strangers learn nothing else.
    assert REVISIONS[0] not in answer.text
    assert REVISIONS[1] not in answer.text
    assert "schema is not ready: SchemaBehindError" in capsys.readouterr().err
    # It is looked at again as soon as it may be well.
    assert ask(client)[0] == 200


def test_a_database_of_the_next_release_keeps_this_one_in_rotation(app: Flask, make_app: Callable[..., Flask]) -> None:
    with stored_revision(app, "9999"):
        assert ask(make_app().test_client())[0] == 200


def test_an_empty_database_answers_but_has_no_schema(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    client = make_app(database_url=f"sqlite:///{tmp_path}/empty.db").test_client()
    status, parts = ask(client)
    assert (status, parts["database"], parts["schema"]) == (503, True, False)


def test_a_schema_is_behind_where_a_known_migration_is_missing() -> None:
    assert is_behind([])
    assert is_behind([REVISIONS[1]])
    assert not is_behind([REVISIONS[0]])
    assert not is_behind(["9999"])


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[tuple[str, Redis]]:
    """The address of a Redis of this test, and a client."""
    socket = tmp_path / "redis.sock"
    with Program(redis_command(socket, tmp_path / "redis"), {}, tmp_path / "redis.log") as server:
        server.wait_for(lambda: answers(socket), "redis does not answer")
        with Redis(unix_socket_path=str(socket)) as client:
            yield f"unix://{socket}", client


def test_a_redis_that_takes_no_writes_takes_the_instance_out(
    app: Flask, make_app: Callable[..., Flask], private_redis: tuple[str, Redis], capsys: pytest.CaptureFixture[str]
) -> None:
    url, server = private_redis
    other = make_app(redis_url=url)
    client = other.test_client()
    with other.app_context():
        write_heartbeat(Part.BEAT)
        write_heartbeat(Part.WORKER)
    assert ask(client)[0] == 200
    server.replicaof("127.0.0.1", "1")
    # Its reads still tell about the heartbeats.
    assert ask(client) == (503, WELL | {"redis": False, "worker": True, "beat": True})
    assert "redis is not ready: ReadOnlyError" in capsys.readouterr().err
    server.replicaof("NO", "ONE")
    assert ask(client)[0] == 200


# --- what strangers can do with it ---


def test_requests_that_come_together_share_one_check(
    app: Flask, make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_app()
    clients, calls = [other.test_client() for _ in range(20)], []

    def ask_slowly() -> None:
        calls.append(1)
        time.sleep(0.5)

    monkeypatch.setattr(queries, "ask_database", ask_slowly)
    found = at_once([lambda client=client: ask(client)[0] for client in clients])
    assert found == [200] * 20
    # A request that comes as the check ends begins another one.
    assert len(calls) <= 3


def test_a_later_request_is_checked_by_itself(app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(client)[0] == 200

    def away() -> None:
        raise ConnectionError("secret.host:5432")

    monkeypatch.setattr(queries, "ask_database", away)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "secret" not in answer.text


def test_the_schema_is_read_once_in_a_few_seconds(
    app: Flask, make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    read = queries.stored_revisions
    monkeypatch.setattr(queries, "stored_revisions", lambda: reads.append(1) or read())
    client = make_app().test_client()
    for _ in range(5):
        assert ask(client)[0] == 200
    assert len(reads) == 1
    monkeypatch.setattr(health, "SCHEMA_SECONDS", 0.0)
    ask(client)
    assert len(reads) == 2
