"""A person's own list of sessions: when, where, on which device; each can be ended, and none is told by its id."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from flask import Flask
from redis.exceptions import ReadOnlyError

from swiper.auth import sessions
from swiper.auth.devices import describe_device, shorten_address
from swiper.auth.session_list import count_sessions
from swiper.auth.sessions import SEEN_SECONDS, key_of, new_session_id
from swiper.extensions import redis
from swiper.profiles.profiles import load_account
from tests.factories import People, Person, at_once, client_holding, session_id_of

pytestmark = pytest.mark.usefixtures("app")

PHONE = "13800138000"
ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36"
IPHONE = "iPhone; CPU iPhone OS 17_5 like Mac OS X"


@pytest.fixture
def person(people: People) -> Person:
    return people.add()


def listed(person: Person) -> list[dict[str, Any]]:
    answer = person.get("/api/user/sessions")
    assert answer.status_code == 200, answer.json
    items: list[dict[str, Any]] = answer.json["data"]["items"]
    assert answer.json["data"]["total"] == len(items)
    return items


def stored(app: Flask, session_id: str) -> dict[str, Any]:
    with app.app_context():
        found: dict[str, Any] = msgspec.msgpack.decode(redis.client.get(key_of(session_id)))
    return found


def store(app: Flask, session_id: str, facts: dict[str, Any]) -> None:
    with app.app_context():
        redis.client.set(key_of(session_id), msgspec.msgpack.encode(facts), keepttl=True)


def log_in(app: Flask, people: People, *, agent: str = ANDROID, address: str = "203.0.113.77") -> Person:
    client = app.test_client()
    with app.app_context():
        for key in redis.client.keys("{p:*}:lock"):
            redis.client.delete(key)
    client.post("/api/user/verify", json={"phonenum": PHONE})
    answer = client.post(
        "/api/user/login",
        json={"phonenum": PHONE, "vcode": people.sent_code()},
        headers={"User-Agent": agent},
        environ_overrides={"REMOTE_ADDR": address},
    )
    assert answer.status_code == 200, answer.json
    return Person(int(answer.json["data"]["id"]), PHONE, client)


def test_a_login_is_listed_with_when_where_and_which_device(app: Flask, people: People) -> None:
    person = log_in(app, people)
    [one] = listed(person)
    assert one["device"] == "Chrome on Android"
    assert one["network"] == "203.0.113.0/24"
    assert one["is_current"]
    for name in ("created_at", "last_seen_at"):
        assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(one[name]) < timedelta(minutes=5)


def test_the_current_session_comes_first_and_then_the_last_used(app: Flask, people: People) -> None:
    first = log_in(app, people, agent="okhttp/4.12.0")
    second = log_in(app, people)
    third = log_in(app, people, agent="")
    facts = stored(app, session_id_of(second.client))
    store(app, session_id_of(second.client), facts | {"seen_at": facts["seen_at"] - 60})
    assert [one["device"] for one in listed(third)] == ["", "okhttp", "Chrome on Android"]
    assert [one["is_current"] for one in listed(third)] == [True, False, False]
    assert [one["device"] for one in listed(first)] == ["okhttp", "", "Chrome on Android"]


def test_the_list_tells_no_session_id(app: Flask, people: People, person: Person) -> None:
    other = people.client_of(person.id)
    answer = person.get("/api/user/sessions")
    for client in (person.client, other):
        session_id = session_id_of(client)
        assert session_id not in answer.text
        assert session_id.partition(".")[2] not in answer.text
    # And what it tells opens nothing.
    for one in listed(person):
        for guess in (one["id"], f"{person.id}.{one['id']}"):
            assert client_holding(app, guess).get("/api/user/profile").status_code == 401


def test_the_list_is_one_s_own(people: People, person: Person) -> None:
    stranger = people.add()
    assert {one["id"] for one in listed(person)}.isdisjoint({one["id"] for one in listed(stranger)})


def test_one_session_is_ended_and_the_others_go_on(app: Flask, people: People, person: Person) -> None:
    other, third = people.client_of(person.id), people.client_of(person.id)
    theirs = next(one for one in other.get("/api/user/sessions").json["data"]["items"] if one["is_current"])
    answer = person.client.delete(f"/api/user/sessions/{theirs['id']}")
    assert (answer.status_code, answer.json) == (200, {"code": 0, "data": {}})
    assert "Set-Cookie" not in answer.headers
    assert other.get("/api/user/profile").status_code == 401
    assert third.get("/api/user/profile").status_code == 200
    assert len(listed(person)) == 2
    assert person.client.delete(f"/api/user/sessions/{theirs['id']}").json["code"] == 1009
    with app.app_context():
        assert count_sessions(person.id) == 2


def test_ending_the_current_session_is_a_logout(app: Flask, person: Person) -> None:
    session_id = session_id_of(person.client)
    answer = person.client.delete(f"/api/user/sessions/{listed(person)[0]['id']}")
    assert answer.status_code == 200
    assert person.client.get_cookie("swiper_session") is None
    assert client_holding(app, session_id).get("/api/user/profile").status_code == 401


def test_nobody_ends_a_session_of_somebody_else(people: People, person: Person) -> None:
    stranger = people.add()
    [theirs] = listed(person)
    unknown = stranger.client.delete(f"/api/user/sessions/{'0' * 32}")
    answer = stranger.client.delete(f"/api/user/sessions/{theirs['id']}")
    assert (answer.status_code, answer.json["code"], answer.data) == (404, 1009, unknown.data)
    for odd in ("%00", "..", "*", "5", "x" * 5000, session_id_of(person.client)):
        assert stranger.client.delete(f"/api/user/sessions/{odd}").json["code"] == 1009
    assert person.get("/api/user/profile").status_code == 200


def test_a_request_under_way_does_not_bring_an_ended_session_back(
    make_app: Callable[..., Flask], people: People, person: Person
) -> None:
    app = make_app()
    other = people.client_of(person.id)
    session_id = session_id_of(other)
    handle = next(one["id"] for one in listed(person) if not one["is_current"])
    # Old enough for its use to be noted.
    store(app, session_id, stored(app, session_id) | {"seen_at": 0})

    @app.get("/api/slow")
    def slow() -> dict[str, int]:
        assert person.client.delete(f"/api/user/sessions/{handle}").status_code == 200
        return {"code": 0}

    assert client_holding(app, session_id).get("/api/slow").status_code == 200
    assert client_holding(app, session_id).get("/api/user/profile").status_code == 401
    with app.app_context():
        assert redis.client.exists(key_of(session_id)) == 0


def test_the_use_of_a_session_is_noted_once_an_hour(
    app: Flask, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id, noted = session_id_of(person.client), []
    replace = sessions._replace

    def count(*args: Any) -> None:
        noted.append(args)
        replace(*args)

    monkeypatch.setattr(sessions, "_replace", count)
    facts = stored(app, session_id)
    store(app, session_id, facts | {"seen_at": facts["seen_at"] - SEEN_SECONDS + 300})
    with app.app_context():
        redis.client.expire(key_of(session_id), 1000)
    assert person.get("/api/user/profile").status_code == 200
    assert noted == []
    store(app, session_id, facts | {"seen_at": facts["seen_at"] - SEEN_SECONDS})
    for _ in range(3):
        answer = person.client.get("/api/user/profile", environ_overrides={"REMOTE_ADDR": "2001:db8:1:2:3::4"})
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
    assert len(noted) == 1
    assert stored(app, session_id) == facts | {
        "seen_at": stored(app, session_id)["seen_at"],
        "network": "2001:db8:1::/48",
    }
    assert stored(app, session_id)["seen_at"] >= facts["seen_at"]
    with app.app_context():
        # The session lives no longer than before.
        assert 0 < redis.client.ttl(key_of(session_id)) <= 1000


def test_noting_a_use_revives_no_session_that_ended_meanwhile(app: Flask, person: Person) -> None:
    session_id = session_id_of(person.client)
    with app.app_context():
        before = redis.client.get(key_of(session_id))
        redis.client.delete(key_of(session_id))
        sessions._replace(key_of(session_id), before, {"uid": person.id})
        assert redis.client.exists(key_of(session_id)) == 0
        redis.client.set(key_of(session_id), b"changed")
        sessions._replace(key_of(session_id), before, {"uid": person.id})
        assert redis.client.get(key_of(session_id)) == b"changed"


def test_a_use_that_cannot_be_noted_is_served_all_the_same(
    app: Flask, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = session_id_of(person.client)
    store(app, session_id, stored(app, session_id) | {"seen_at": 0})

    def refuse(*_: Any) -> None:
        raise ReadOnlyError("You can't write against a read only replica.")

    monkeypatch.setattr(app.extensions["redis"], "eval", refuse)
    assert person.get("/api/user/profile").status_code == 200


def test_a_session_of_an_older_release_is_served_and_listed(app: Flask, people: People, person: Person) -> None:
    session_id = new_session_id(person.id)
    with app.app_context():
        redis.client.set(key_of(session_id), msgspec.msgpack.encode({"uid": person.id, "_permanent": True}), ex=3600)
        redis.client.zadd(f"{{u:{person.id}}}:sessions", {session_id: 4_000_000_000})
    [_, old] = listed(person)
    assert (old["device"], old["network"], old["created_at"], old["last_seen_at"]) == ("", "", None, None)
    assert client_holding(app, session_id).get("/api/user/profile").status_code == 200
    [_, old] = listed(person)
    assert old["created_at"] is None
    assert old["last_seen_at"] is not None
    assert person.client.delete(f"/api/user/sessions/{old['id']}").status_code == 200
    assert client_holding(app, session_id).get("/api/user/profile").status_code == 401


def test_what_is_gone_or_unreadable_is_not_listed(app: Flask, people: People, person: Person) -> None:
    gone, garbage = people.client_of(person.id), people.client_of(person.id)
    with app.app_context():
        redis.client.delete(key_of(session_id_of(gone)))
        redis.client.set(key_of(session_id_of(garbage)), b"\x80\x04K\x01.")
    assert len(listed(person)) == 1


def test_one_more_login_than_allowed_ends_the_oldest(make_app: Callable[..., Flask]) -> None:
    app = make_app(sessions_per_user=3)
    people = People(app)
    logins = [log_in(app, people) for _ in range(3)]
    assert len(listed(logins[0])) == 3
    logins += [log_in(app, people) for _ in range(2)]
    assert [one.get("/api/user/profile").status_code for one in logins] == [401, 401, 200, 200, 200]
    assert len(listed(logins[-1])) == 3
    with app.app_context():
        assert len(redis.client.keys("{u:*}:session:*")) == 3


def test_a_login_never_ends_itself(make_app: Callable[..., Flask]) -> None:
    """Older sessions may be listed as ending later, where SESSION_DAYS was made shorter."""
    app = make_app(sessions_per_user=1)
    people = People(app)
    first = log_in(app, people)
    with app.app_context():
        redis.client.zadd(f"{{u:{first.id}}}:sessions", {session_id_of(first.client): 4_000_000_000})
    second = log_in(app, people)
    assert second.get("/api/user/profile").status_code == 200


def test_many_pages_of_sessions_are_paged_like_every_list(people: People, person: Person) -> None:
    for _ in range(4):
        people.client_of(person.id)
    data = person.get("/api/user/sessions", page=2, per_page=2).json["data"]
    assert (data["total"], data["pages"], len(data["items"]), data["has_next"]) == (5, 3, 2, True)
    assert person.get("/api/user/sessions", page=0).json["code"] == 1005


def test_sessions_that_are_ended_twice_at_once_are_ended_once(people: People, person: Person) -> None:
    people.client_of(person.id)
    handle = listed(person)[1]["id"]
    path = f"/api/user/sessions/{handle}"
    clients = [client_holding(people.app, session_id_of(person.client)) for _ in range(6)]
    answers = at_once([lambda client=client: client.delete(path) for client in clients])
    assert {answer.json["code"] for answer in answers} <= {0, 1009}
    assert len(listed(person)) == 1


def test_the_export_tells_the_sessions_without_their_ids(app: Flask, people: People) -> None:
    person = log_in(app, people)
    with app.app_context():
        # The number as the API stores it.
        person.phone = load_account(person.id).phone
    [told] = person.export().json["data"]["sessions"]
    assert (told["device"], told["network"]) == ("Chrome on Android", "203.0.113.0/24")
    assert datetime.fromisoformat(told["created_at"]).tzinfo is not None
    assert session_id_of(person.client) not in str(told)


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (ANDROID, "Chrome on Android"),
        (f"Mozilla/5.0 ({IPHONE}) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"Mozilla/5.0 ({IPHONE}) AppleWebKit/605.1.15 CriOS/126.0 Mobile Safari/604.1", "Chrome on iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.4 Safari/605.1.15", "Safari on Mac"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126.0 Safari/537.36 Edg/126.0", "Edge on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/126.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; rv:127.0) Gecko/20100101 Firefox/127.0", "Firefox on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Linux; Android 13) Chrome/116.0 Safari/537.36 MicroMessenger/8.0", "WeChat on Android"),
        ("Mozilla/5.0 (Linux; Android 13) SamsungBrowser/25.0 Chrome/121.0", "Samsung Internet on Android"),
        ("Swiper/3.1 (iPhone; iOS 17.5)", "Swiper on iPhone"),
        ("okhttp/4.12.0", "okhttp"),
        ("curl/8.5.0", "curl"),
        ("Mozilla/5.0", ""),
        ("", ""),
        ("<script>alert(1)</script>/1", ""),
        ("x" * 100_000 + " Firefox/1 (Windows)", ""),
        ("\u202eabc/1", ""),
    ],
)
def test_a_device_is_called_by_what_its_user_agent_names(agent: str, device: str) -> None:
    assert describe_device(agent) == device


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("::1", "::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", ""),
        ("unix:", ""),
    ],
)
def test_a_place_is_told_by_its_network_alone(address: str, network: str) -> None:
    assert shorten_address(address) == network
