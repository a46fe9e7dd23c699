"""Sessions under attack: planted, stolen, guessed, mangled, or older than the account they belong to."""

import logging
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient

from config.logging import LINE
from swiper.auth.login import restore_code
from swiper.auth.session_list import count_sessions, end_all_sessions
from swiper.extensions import db, redis
from swiper.logs import MaskingFormatter
from swiper.profiles.accounts import set_status
from swiper.profiles.models import Status
from tests.factories import SESSION_COOKIE as COOKIE
from tests.factories import People, Person, client_holding, session_id_of

pytestmark = pytest.mark.usefixtures("app")

CODE = "123456"


def log_in(client: FlaskClient, phone: str) -> Any:
    """Log in with a code that was sent before."""
    with client.application.app_context():
        restore_code(phone, CODE, 60_000)
    answer = client.post("/api/user/login", json={"phonenum": phone, "vcode": CODE})
    assert answer.status_code == 200, answer.json
    return answer


def whose(client: FlaskClient) -> str | None:
    """The id of the account that a client is logged in to."""
    answer = client.get("/api/user/profile")
    assert (answer.status_code, answer.json["code"]) in ((200, 0), (401, 1001))
    return answer.json["data"]["id"] if answer.status_code == 200 else None


def listed(app: Flask, uid: int) -> int:
    with app.app_context():
        return count_sessions(uid)


# --- planted ---


def test_of_a_hundred_planted_sessions_none_is_the_victim_s(app: Flask, people: People) -> None:
    """Every second one is a live session of the attacker's own, which a victim's login must not fill."""
    attacker, pick = people.add(), random.Random(5)
    made: set[str] = set()
    for number in range(100):
        planted = session_id_of(people.client_of(attacker.id)) if number % 2 else f"{pick.getrandbits(250):x}"
        victim = client_holding(app, planted)
        answer = log_in(victim, f"+86{13_900_000_000 + number % 5}")
        assert session_id_of(victim) != planted
        assert whose(client_holding(app, planted)) is None
        made.add(session_id_of(victim))
    assert whose(victim) == answer.json["data"]["id"]
    assert len(made) == 100
    # The one that the attacker keeps.
    assert listed(app, attacker.id) == 1


def test_a_planted_session_is_not_filled_by_anything_but_a_login(app: Flask, people: People) -> None:
    planted = "1." + "A" * 43
    client = client_holding(app, planted)
    for method, path in (
        ("POST", "/api/user/verify"),
        ("POST", "/api/user/login"),
        ("POST", "/api/user/logout"),
        ("GET", "/api/user/profile"),
        ("GET", "/"),
    ):
        body = {"phonenum": "13800138000", "vcode": "000000"} if path.endswith("login") else {"phonenum": "13800138000"}
        assert COOKIE not in client.open(path, method=method, json=body).headers.get("Set-Cookie", "")
    with app.app_context():
        assert redis.client.keys("{u:*}:session:*") == []


def test_a_login_as_somebody_else_leaves_nothing_of_the_former_session(app: Flask, people: People) -> None:
    client, elsewhere = app.test_client(), app.test_client()
    former = int(log_in(client, "+8613800138000").json["data"]["id"])
    log_in(elsewhere, "+8613800138000")
    stolen = session_id_of(client)
    later = int(log_in(client, "+8613900139000").json["data"]["id"])
    assert whose(client) == str(later)
    assert whose(client_holding(app, stolen)) is None
    # The former user's other sessions go on, and only those are told to them.
    assert whose(elsewhere) == str(former)
    assert (listed(app, former), listed(app, later)) == (1, 1)
    assert elsewhere.get("/api/user/sessions").json["data"]["total"] == 1


# --- stolen ---


@pytest.mark.parametrize("body", [{}, {"all": True}])
def test_what_was_stolen_before_a_logout_opens_nothing_after_it(
    app: Flask, people: People, body: dict[str, Any]
) -> None:
    victim = people.add()
    stolen = session_id_of(victim.client)
    assert victim.client.post("/api/user/logout", json=body).status_code == 200
    thief = client_holding(app, stolen)
    for rule in app.url_map.iter_rules():
        path = rule.rule.partition("<")[0]
        if not rule.rule.startswith("/api/") or "<" in rule.rule or "/vip/levels" in path:
            continue
        for method in (rule.methods or set()) & {"GET", "POST", "DELETE"}:
            if path not in ("/api/user/verify", "/api/user/login"):
                assert thief.open(path, method=method).status_code == 401, path
    # Not even the next login of its owner brings it back.
    log_in(victim.client, victim.phone)
    assert whose(thief) is None
    assert whose(victim.client) == str(victim.id)


def test_a_login_under_way_during_a_logout_everywhere_is_found_by_the_next_one(
    make_app: Callable[..., Flask], people: People
) -> None:
    """Its session is stored after the other request has gone through the list."""
    app, person = make_app(), people.add()

    @app.after_request
    def log_out_everywhere(response: Response) -> Response:
        if request.path == "/api/user/login":
            end_all_sessions(person.id)
        return response

    client = app.test_client()
    log_in(client, person.phone)
    assert whose(client) in (None, str(person.id))
    assert listed(app, person.id) == (1 if whose(client) else 0)
    people.client_of(person.id).post("/api/user/logout", json={"all": True})
    assert whose(client) is None


# --- elsewhere than in the cookie or as a bearer ---


@pytest.mark.parametrize("name", [COOKIE, "session"])
def test_an_id_counts_in_no_other_place(app: Flask, people: People, name: str) -> None:
    session_id, client = session_id_of(people.add().client), app.test_client()
    others = [f"x{COOKIE}", COOKIE.upper(), f"{COOKIE}.1", "session"]
    for request_of in (
        {"query_string": {name: session_id}},
        {"headers": {"Authorization": f"{name} {session_id}"}},
        {"headers": {f"X-{name.replace('_', '-')}": session_id}},
        {"headers": {"Cookie2": f"{name}={session_id}"}},
        {"headers": {"Cookie": "; ".join(f"{other}={session_id}" for other in others)}},
        {"path": f"/api/user/profile;{name}={session_id}"},
    ):
        answer = client.get(**{"path": "/api/user/profile"} | request_of)
        assert answer.status_code in (401, 404)
        assert "Set-Cookie" not in answer.headers
    for body in ({"data": {name: session_id}}, {"json": {name: session_id}}):
        assert client.post("/api/user/logout", **body).status_code == 401


# --- mangled ---


def ask_with(app: Flask, cookie: bytes) -> Any:
    environ = {"HTTP_COOKIE": cookie.decode("latin-1")}
    return app.test_client(use_cookies=False).get("/api/user/profile", environ_overrides=environ)


def mangled(session_id: str) -> Iterator[str]:
    """A valid id with something done to it."""
    for place in range(0, len(session_id), 4):
        other = "A" if session_id[place] != "A" else "B"
        yield session_id[:place] + other + session_id[place + 1 :]
    yield from (
        session_id[:-1],
        session_id[1:],
        session_id + "A",
        session_id * 2,
        session_id.swapcase(),
        session_id[::-1],
        "{{u:{}}}:session:{}".format(*session_id.split(".")),
        f"0{session_id}",
        session_id.partition(".")[2],
        f"{session_id}\x00",
        f"*{session_id}",
    )
    yield from (
        f"{session_id}\r\nDEL x",
        f"{session_id}*",
        f"?{session_id[1:]}",
        f"[{session_id[0]}]{session_id[1:]}",
        f"{session_id}%00",
        f"{session_id}.sig",
        f"b'{session_id}'",
    )


def test_a_mangled_id_is_a_stranger_s(app: Flask, people: People) -> None:
    person = people.add()
    session_id = session_id_of(person.client)
    for value in mangled(session_id):
        answer = ask_with(app, f"{COOKIE}={value}".encode())
        assert (answer.status_code, answer.json["code"]) == (401, 1001), value
        assert "Set-Cookie" not in answer.headers
    assert whose(person.client) == str(person.id)


def test_odd_bytes_and_huge_cookies_are_a_stranger_s(app: Flask, people: People) -> None:
    pick = random.Random(7)
    cookies = [f"{COOKIE}=".encode() + pick.randbytes(pick.randrange(1, 80)) for _ in range(150)]
    cookies += [pick.randbytes(pick.randrange(1, 80)) for _ in range(50)]
    cookies += [
        f'{COOKIE}="{text}"'.encode() for text in ("\\777", "\\", "\\000", '"', "\\377\\376", "\ufffe", "\u202e")
    ]
    cookies += [f"{COOKIE}=".encode() + b"A" * 200_000, b";" * 20_000, b"=" * 20_000, f"{COOKIE}=A;".encode() * 3_000]
    cookies += [f"{COOKIE}={{u:1}}:sessions".encode(), f"{COOKIE}=\x80\x04K\x01.".encode("latin-1")]
    for cookie in cookies:
        answer = ask_with(app, cookie)
        assert (answer.status_code, answer.json["code"]) == (401, 1001), cookie[:100]


def test_of_two_cookies_of_one_name_the_first_counts_and_none_is_mixed(app: Flask, people: People) -> None:
    """A page of a sister host can add a cookie; it must not break ours into a third session."""
    mine, theirs = people.add(), people.add()
    first, second = session_id_of(mine.client), session_id_of(theirs.client)
    answer = ask_with(app, f"{COOKIE}={first}; {COOKIE}={second}".encode())
    assert answer.json["data"]["id"] == str(mine.id)
    assert ask_with(app, f"{COOKIE}=x; {COOKIE}={second}".encode()).status_code == 401


def test_an_id_is_shown_in_the_cookie_alone(app: Flask, people: People) -> None:
    lines: list[str] = []

    class CapturingHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    keeper, root = CapturingHandler(), logging.getLogger()
    keeper.setFormatter(MaskingFormatter(LINE))
    level = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    try:
        client = app.test_client()
        answers = [log_in(client, "+8613800138000")]
        session_id = session_id_of(client)
        for path in ("/api/user/profile", "/api/user/export", "/api/vip/me", "/no/such/route", "/"):
            answers.append(client.get(path))
        answers.append(client.post("/api/social/like", json={"sid": "nobody"}))
    finally:
        root.removeHandler(keeper)
        root.setLevel(level)
    assert session_id in answers[0].headers["Set-Cookie"]
    assert not any(session_id in answer.text for answer in answers)
    assert not any(session_id in str(answer.headers) for answer in answers[1:])
    assert not any(session_id in line for line in lines)


# --- older than the account ---


def test_a_new_account_of_the_same_number_is_not_open_to_old_sessions(app: Flask, people: People) -> None:
    client = app.test_client()
    former = int(log_in(client, "+8613800138000").json["data"]["id"])
    old, other = session_id_of(client), people.client_of(former)
    assert Person(former, "+8613800138000", client).delete_account().status_code == 200
    fresh = app.test_client()
    assert log_in(fresh, "+8613800138000").json["data"]["id"] != str(former)
    for stale in (client_holding(app, old), other, people.client_of(former)):
        assert whose(stale) is None
    assert listed(app, former) <= 1


def suspend(app: Flask, person: Person, status: Status) -> None:
    with app.app_context():
        set_status(person.id, status)
        db.session.remove()


def test_suspending_ends_sessions_for_good(app: Flask, people: People) -> None:
    """Admitting the account again gives a stolen session no second life."""
    person = people.add()
    stolen = session_id_of(person.client)
    suspend(app, person, Status.SUSPENDED)
    late = people.client_of(person.id)
    assert late.get("/api/user/profile").json["code"] == 1010
    suspend(app, person, Status.ACTIVE)
    assert whose(client_holding(app, stolen)) is None
    client = app.test_client()
    log_in(client, person.phone)
    assert whose(client) == str(person.id)


def test_a_suspended_account_gets_a_session_that_shows_nothing(app: Flask, people: People) -> None:
    person = people.add()
    suspend(app, person, Status.SUSPENDED)
    with app.app_context():
        restore_code(person.phone, CODE, 60_000)
    answer = app.test_client().post("/api/user/login", json={"phonenum": person.phone, "vcode": CODE})
    assert (answer.status_code, answer.json["code"]) == (403, 1010)
    client = app.test_client()
    with app.app_context():
        restore_code(person.phone, CODE, 60_000)
    client.post("/api/user/login", json={"phonenum": person.phone, "vcode": CODE})
    for path in ("/api/user/profile", "/api/social/users", "/api/vip/me", f"/api/user/{person.id}"):
        assert client.get(path).json["code"] == 1010, path
