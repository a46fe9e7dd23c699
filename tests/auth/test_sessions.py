"""Sessions: begun anew at login, carried by a strict cookie, dead at once after logout."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.settings import Environment
from swiper.auth.session_list import count_sessions
from swiper.auth.sessions import key_of
from swiper.extensions import redis
from swiper.profiles.accounts import set_status
from swiper.profiles.models import Status
from tests.factories import SESSION_COOKIE as COOKIE
from tests.factories import People, Person, client_holding, session_id_of

pytestmark = pytest.mark.usefixtures("app")


def log_in_with(client: FlaskClient, people: People, phone: str) -> Any:
    client.post("/api/user/verify", json={"phonenum": phone})
    return client.post("/api/user/login", json={"phonenum": phone, "vcode": people.sent_code()})


def is_logged_in(client: FlaskClient) -> bool:
    answer = client.get("/api/user/profile")
    assert answer.status_code in (200, 401)
    return bool(answer.status_code == 200)


def test_a_planted_session_id_is_not_taken_over(app: Flask, people: People) -> None:
    planted = "1." + "A" * 43
    victim = client_holding(app, planted)
    log_in_with(victim, people, "13800138000")
    assert session_id_of(victim) != planted
    assert not is_logged_in(client_holding(app, planted))
    assert is_logged_in(victim)


def test_a_login_on_a_live_session_gets_a_new_id_and_ends_the_old_one(app: Flask, people: People) -> None:
    client = app.test_client()
    log_in_with(client, people, "13800138000")
    first = session_id_of(client)
    log_in_with(client, people, "13900139000")
    assert session_id_of(client) != first
    assert not is_logged_in(client_holding(app, first))
    assert client.get("/api/user/profile").json["data"]["phone"] == "+8613900139000"


def test_session_ids_have_256_random_bits(app: Flask, people: People) -> None:
    first, second = people.log_in("13800138000"), people.log_in("13900139000")
    assert len(session_id_of(first.client)) >= 43
    assert session_id_of(first.client) != session_id_of(second.client)


def test_the_cookie_is_http_only_lax_and_lives_30_days(client: FlaskClient, people: People) -> None:
    header = log_in_with(client, people, "13800138000").headers["Set-Cookie"]
    cookie = client.get_cookie(COOKIE)
    assert cookie is not None
    assert cookie.http_only
    assert cookie.same_site == "Lax"
    assert not cookie.secure
    assert cookie.path == "/"
    assert "Domain" not in header
    with client.application.app_context():
        life = redis.client.ttl(key_of(session_id_of(client)))
    assert 30 * 86_400 - 60 < life <= 30 * 86_400


def test_the_cookie_is_secure_in_production(make_app: Callable[..., Flask]) -> None:
    app = make_app(environment=Environment.PRODUCTION)
    header = log_in_with(app.test_client(), People(app), "13800138000").headers["Set-Cookie"]
    assert header.startswith("__Host-swiper_session=")
    assert "; Secure" in header
    assert "; HttpOnly" in header
    assert "; SameSite=Lax" in header


def test_a_session_is_not_prolonged_by_its_use(people: People) -> None:
    person = people.log_in("13800138000")
    with people.app.app_context():
        redis.client.expire(key_of(session_id_of(person.client)), 100)
    answer = person.get("/api/user/profile")
    assert "Set-Cookie" not in answer.headers
    with people.app.app_context():
        assert redis.client.ttl(key_of(session_id_of(person.client))) <= 100


def test_a_stranger_gets_no_cookie_and_no_stored_session(app: Flask, client: FlaskClient) -> None:
    for path in ("/", "/api/vip/levels", "/api/user/profile", "/healthz"):
        assert "Set-Cookie" not in client.get(path).headers
    with app.app_context():
        assert redis.client.keys("{u:*}:session:*") == []


def test_after_logout_the_old_cookie_is_dead(app: Flask, people: People) -> None:
    person = people.log_in("13800138000")
    session_id = session_id_of(person.client)
    answer = person.post("/api/user/logout")
    assert answer.json == {"code": 0, "data": {}}
    assert not is_logged_in(client_holding(app, session_id))
    answer = client_holding(app, session_id).post("/api/user/logout")
    assert (answer.status_code, answer.json["code"]) == (401, 1001)


def test_logout_ends_this_session_alone(app: Flask, people: People) -> None:
    person = people.log_in("13800138000")
    other = people.client_of(person.id)
    person.post("/api/user/logout")
    assert is_logged_in(other)
    with app.app_context():
        assert count_sessions(person.id) == 1


@pytest.mark.parametrize("how", [{"json": {"all": True}}, {"data": {"all": "true"}}])
def test_logout_of_all_ends_every_session_of_the_user_alone(app: Flask, people: People, how: dict[str, Any]) -> None:
    person, stranger = people.log_in("13800138000"), people.log_in("13900139000")
    others = [people.client_of(person.id) for _ in range(3)]
    assert person.client.post("/api/user/logout", **how).status_code == 200
    assert not any(is_logged_in(client) for client in [person.client, *others])
    assert is_logged_in(stranger.client)
    with app.app_context():
        assert count_sessions(person.id) == 0


def test_a_slow_request_in_flight_does_not_revive_a_session(make_app: Callable[..., Flask], people: People) -> None:
    app = make_app()
    person = people.add()
    session_id = session_id_of(person.client)

    @app.get("/api/slow")
    def slow() -> dict[str, int]:
        # The session was read before; meanwhile the same user logs out in another request.
        assert person.post("/api/user/logout").status_code == 200
        return {"code": 0}

    answer = client_holding(app, session_id).get("/api/slow")
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    with app.app_context():
        assert redis.client.exists(key_of(session_id)) == 0
    assert not is_logged_in(client_holding(app, session_id))


@pytest.mark.parametrize(
    "session_id",
    ["", "x", "../../etc/passwd", "A" * 43, "1." + "A" * 43, "A" * 5000, "%00", "{u:1}:session:A", "*", "\udcff"],
)
def test_an_invented_cookie_is_a_stranger(app: Flask, session_id: str) -> None:
    client = app.test_client()
    header = f"{COOKIE}={session_id}".encode("utf-8", "surrogateescape").decode("latin-1")
    answer = client.get("/api/user/profile", environ_overrides={"HTTP_COOKIE": header})
    assert (answer.status_code, answer.json["code"]) == (401, 1001)


def test_a_session_that_ran_out_is_dead(app: Flask, people: People) -> None:
    person = people.log_in("13800138000")
    with app.app_context():
        redis.client.delete(key_of(session_id_of(person.client)))
    assert not is_logged_in(person.client)


def suspend(app: Flask, person: Person, status: Status = Status.SUSPENDED) -> None:
    with app.app_context():
        set_status(person.id, status)


def test_suspending_ends_every_session(app: Flask, people: People) -> None:
    person = people.log_in("13800138000")
    suspend(app, person)
    assert not is_logged_in(person.client)


def test_a_suspended_account_is_refused_as_banned(app: Flask, people: People) -> None:
    person = people.log_in("13800138000")
    suspend(app, person)
    # A session that was stored while the others were ended.
    late = people.client_of(person.id).get("/api/user/profile")
    assert (late.status_code, late.json["code"]) == (403, 1010)
    client = app.test_client()
    answer = log_in_with(client, people_after_a_minute(people), "13800138000")
    assert (answer.status_code, answer.json["code"]) == (403, 1010)
    # The session is for what suspended people may still do.
    assert client.get("/api/user/profile").json["code"] == 1010
    assert client.get("/api/user/sessions").status_code == 200


def people_after_a_minute(people: People) -> People:
    """Drops the resend locks."""
    with people.app.app_context():
        for key in redis.client.keys("{p:*}:lock"):
            redis.client.delete(key)
    return people


def test_an_account_is_admitted_again(app: Flask, people: People) -> None:
    person = people.log_in("13800138000")
    suspend(app, person)
    suspend(app, person, Status.ACTIVE)
    client = app.test_client()
    assert log_in_with(client, people_after_a_minute(people), "13800138000").status_code == 200


def test_the_cookie_of_a_deleted_account_is_dead(app: Flask, people: People) -> None:
    person = people.log_in("13800138000")
    session_id, other = session_id_of(person.client), people.client_of(person.id)
    assert person.delete_account().status_code == 200
    assert not is_logged_in(client_holding(app, session_id))
    assert not is_logged_in(other)
    # Even a session that nobody listed does not bring the account back.
    assert not is_logged_in(people.client_of(person.id))
