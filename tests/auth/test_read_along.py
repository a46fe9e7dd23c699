"""What is read together with a session: it belongs to that session, to that request, and may be garbage."""

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from swiper.auth.sessions import key_of, new_session_id
from swiper.cache.values import shared_key
from swiper.extensions import db, redis
from swiper.profiles.accounts import set_status
from swiper.profiles.models import Status
from swiper.profiles.profile_changes import change_profile
from swiper.profiles.profiles import account_key
from swiper.social.deck_session import session_key
from swiper.vip.levels import vip_status_of
from swiper.vip.memberships import grant
from tests.factories import People, Person, session_id_of

COOKIE = "swiper_session"
PATHS = ("/api/user/profile", "/api/social/users", "/api/social/users?group_num=2", "/api/vip/me")
GARBAGE = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"0",
    b"17",
    b"[]",
    b"{}",
    b"!",
    b"!garbage",
    b"!\x80\x05.",
    b"!\x80\x04\x8c\x05swipe\x8c\x04gone\x93.",
    b'{"wish": "x", "base": 0, "ids": [], "is_whole": false}',
    msgspec.msgpack.encode({}),
    msgspec.msgpack.encode([]),
    msgspec.msgpack.encode({"criteria": 17}),
    msgspec.msgpack.encode({"criteria": "x", "likers": ["y"]}),
    # As the release before has stored it.
    msgspec.msgpack.encode({"wish": "x", "base": 0, "likers": [], "rest": b"", "walked": None, "is_whole": True}),
    msgspec.msgpack.encode({"id": 1, "phone": 2}),
    msgspec.msgpack.encode("text"),
]


def status_with(app: Flask, session_id: str, path: str = PATHS[0]) -> int:
    client = app.test_client()
    client.set_cookie(COOKIE, session_id)
    return client.get(path).status_code


def test_a_session_id_holds_for_its_own_user_alone(app: Flask, people: People) -> None:
    person, other = people.add(), people.add()
    uid, _, token = session_id_of(person.client).partition(".")
    assert status_with(app, f"{uid}.{token}") == 200
    changed = [
        f"{other.id}.{token}",
        f"0{uid}.{token}",
        f"00{uid}.{token}",
        f"+{uid}.{token}",
        f"-{uid}.{token}",
        f" {uid}.{token}",
        f"{uid}0.{token}",
        f"{uid[:-1]}.{token}",
        f"{int(uid) + 2**64}.{token}",
        f"{'9' * 19}.{token}",
        f"{'9' * 20}.{token}",
        f"0.{token}",
        f".{token}",
        f"{uid}..{token}",
        f"{uid}.{token}A",
        f"{uid}.{token[:-1]}",
        f"{uid}.{token}\t",
        f"{uid}}}:session:{token}.{token}",
        f"{uid}.{token}.{token}",
        f"{other.id}}}:x.{token}",
        # Digits, but not ASCII's.
        "".join(chr(0xFF10 + int(digit)) for digit in uid) + f".{token}",
    ]
    for path in PATHS:
        assert {status_with(app, session_id, path) for session_id in changed} == {401}
    assert status_with(app, f"{uid}.{token}") == 200


def test_a_session_that_is_not_there_does_not_lend_its_user_an_account(app: Flask, people: People) -> None:
    person, other = people.add(), people.add()
    assert person.get(PATHS[0]).status_code == 200
    for path in PATHS:
        assert status_with(app, new_session_id(person.id), path) == 401
    with app.app_context():
        # Whose a session is, its own content says.
        session_id, interface = new_session_id(person.id), app.session_interface
        redis.client.set(key_of(session_id), interface.serializer.encode({"uid": other.id}))  # type: ignore[attr-defined]
    client = app.test_client()
    client.set_cookie(COOKIE, session_id)
    assert client.get(PATHS[0]).json["data"]["id"] == str(other.id)


class KeepAlive(WSGIRequestHandler):
    """Answers one request after the other on one connection."""

    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def port(app: Flask) -> Iterator[int]:
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=KeepAlive)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.port
    server.shutdown()
    thread.join()
    server.server_close()


def ask(connection: http.client.HTTPConnection, person: Person, path: str) -> Any:
    connection.request("GET", path, headers={"Cookie": f"{COOKIE}={session_id_of(person.client)}"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())["data"]


def test_the_second_request_of_a_connection_sees_what_changed_after_the_first(
    app: Flask, port: int, people: People
) -> None:
    man, other, woman, far = people.add(), people.add(), people.woman(), people.woman(location="北京")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    assert ask(connection, man, "/api/social/users")[1]["users"][0]["id"] == str(woman.id)
    socket = connection.sock
    assert ask(connection, man, "/api/user/profile")[1]["location"] == "上海"
    with app.app_context():
        change_profile(man.id, {"location": "北京"}, vip_status_of(man.id))
        grant(man.id, 2, 1)
        db.session.remove()
    assert ask(connection, man, "/api/user/profile")[1]["location"] == "北京"
    assert ask(connection, man, "/api/vip/me")[1]["level"] == 2
    assert ask(connection, man, "/api/social/users")[1]["users"][0]["id"] == str(far.id)
    # Somebody else on the same connection.
    assert ask(connection, other, "/api/user/profile")[1]["id"] == str(other.id)
    assert ask(connection, other, "/api/social/users")[1]["users"][0]["id"] == str(woman.id)
    with app.app_context():
        set_status(man.id, Status.SUSPENDED)
        db.session.remove()
    assert ask(connection, man, "/api/user/profile")[0] == 401
    assert ask(connection, other, "/api/user/profile")[0] == 200
    assert connection.sock is socket
    connection.close()


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_pass_that_cannot_be_read_is_begun_anew(garbage: bytes, app: Flask, people: People) -> None:
    man, women = people.add(), {people.woman().id for _ in range(7)}
    first = man.deck()
    for group in (0, 1):
        with app.app_context():
            redis.client.set(session_key(man.id), garbage)
        answer = man.get("/api/social/users", group_num=group)
        assert answer.status_code == 200
        # As after any other change, a later group goes on from there with a new list.
        assert {int(card["id"]) for card in answer.json["data"]["users"]} <= women
    assert man.deck() == first
    assert len(man.deck(1)) == 2
    with app.app_context():
        redis.client.set(session_key(man.id), garbage)
        grant(man.id, 2, 1)
        db.session.remove()
    assert man.dislike(first[0]).status_code == 200
    assert man.post("/api/social/rewind").status_code == 200
    assert man.deck() == first


def test_a_pass_of_another_kind_does_not_hide_the_session(app: Flask, people: People) -> None:
    man = people.add()
    with app.app_context():
        redis.client.hset(session_key(man.id), "a", "b")
    assert man.get("/api/user/profile").status_code == 200
    assert man.get("/api/social/users").status_code == 200


@pytest.mark.parametrize("garbage", GARBAGE)
def test_an_account_that_cannot_be_read_is_read_from_the_database(garbage: bytes, app: Flask, people: People) -> None:
    man, woman = people.add(bio="here"), people.woman()
    app.extensions.pop("cache_away_until", None)
    for path in PATHS[:3]:
        assert man.client.get(path).status_code == 200
        with app.app_context():
            name = shared_key(account_key(man.id))
            assert name
            assert redis.client.exists(name)
            redis.client.set(name, garbage)
        assert man.client.get(path).status_code == 200
        with app.app_context():
            assert redis.client.get(name) != garbage
    assert man.get(PATHS[0]).json["data"]["bio"] == "here"
    assert man.deck() == [woman.id]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_session_that_cannot_be_read_is_nobodys(garbage: bytes, app: Flask, people: People) -> None:
    man = people.add()
    with app.app_context():
        redis.client.set(key_of(session_id_of(man.client)), garbage)
    for path in PATHS:
        answer = man.client.get(path)
        assert (answer.status_code, answer.json["code"]) == (401, 1001)
