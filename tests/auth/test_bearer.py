"""Native apps carry the session in `Authorization: Bearer`: the same session, and never a cookie beside it."""

from typing import Any

import pytest
from flask import Flask

from swiper.admin.unlocks import unlock
from tests.factories import SESSION_COOKIE, People, Person, client_holding, session_id_of

pytestmark = pytest.mark.usefixtures("app")

FOREIGN = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Referer": "https://evil.example/"}


@pytest.fixture
def person(people: People) -> Person:
    return people.add()


def ask(app: Flask, method: str, path: str, token: str, **options: Any) -> Any:
    """A request of a client without cookies."""
    headers = {"Authorization": f"Bearer {token}"} | options.pop("headers", {})
    return app.test_client(use_cookies=False).open(path, method=method, headers=headers, **options)


def bearer_login(app: Flask, people: People, kind: str = "json", **headers: str) -> Any:
    client = app.test_client()
    assert client.post("/api/user/verify", json={"phonenum": "13800138000"}).status_code == 200
    given = {"phonenum": "13800138000", "vcode": people.sent_code(), "bearer": True if kind == "json" else "true"}
    return client.post("/api/user/login", **{kind: given}, headers=headers)


@pytest.mark.parametrize("kind", ["json", "data"])
def test_a_login_that_asks_for_it_answers_the_session_and_sets_no_cookie(app: Flask, people: People, kind: str) -> None:
    answer = bearer_login(app, people, kind)
    assert "Set-Cookie" not in answer.headers
    own = ask(app, "GET", "/api/user/profile", answer.json["data"]["session"])
    assert own.json["data"]["id"] == answer.json["data"]["id"]
    assert "session" not in own.json["data"]


def test_an_ordinary_login_does_not_tell_the_session(people: People) -> None:
    person = people.log_in("13800138000")
    assert "session" not in person.get("/api/user/profile").json["data"]
    assert session_id_of(person.client)


def test_a_login_by_a_client_that_sends_the_header_sets_no_cookie_either(app: Flask, people: People) -> None:
    former = bearer_login(app, people).json["data"]["session"]
    with app.app_context():
        for key in app.extensions["redis"].keys("{p:*}:lock"):
            app.extensions["redis"].delete(key)
    phone = {"phonenum": "13800138000"}
    ask(app, "POST", "/api/user/verify", former, json=phone)
    answer = ask(app, "POST", "/api/user/login", former, json=phone | {"vcode": people.sent_code()})
    assert "Set-Cookie" not in answer.headers
    assert ask(app, "GET", "/api/user/profile", answer.json["data"]["session"]).status_code == 200
    # As with cookies: who logs in anew leaves the session before.
    assert ask(app, "GET", "/api/user/profile", former).status_code == 401


def test_no_answer_to_a_bearer_sets_a_cookie(app: Flask, people: People) -> None:
    token = session_id_of(people.add(vip=3).client)
    for method, path in (
        ("GET", "/"),
        ("GET", "/api/user/profile"),
        ("POST", "/api/user/profile/modify"),
        ("GET", "/api/social/users"),
        ("GET", "/no/such/route"),
        ("POST", "/api/user/logout"),
        ("POST", "/api/user/logout"),
    ):
        answer = ask(app, method, path, token, json={} if method == "POST" else None)
        assert "Set-Cookie" not in answer.headers, path
    assert ask(app, "GET", "/api/user/profile", token).status_code == 401


def test_logging_out_by_bearer_ends_the_session_in_every_form(app: Flask, people: People) -> None:
    person = people.add()
    token = session_id_of(person.client)
    assert ask(app, "POST", "/api/user/logout", token).status_code == 200
    assert person.get("/api/user/profile").status_code == 401


@pytest.mark.parametrize(
    "authorization",
    [
        *("", "Bearer", "Bearer ", "Bearer x", "bearer 1.A", "Basic MTox", "Digest a=b", "Bearer\t1", "Negotiate"),
        *("Bearer ,", "Bearer \x00", "Bearer " + "A" * 5_000, "Bearer {u:1}:session:A", "\xff\xfe", "Token x"),
    ],
)
def test_a_cookie_counts_for_nothing_beside_the_header(person: Person, authorization: str) -> None:
    answer = person.client.get("/api/user/profile", environ_overrides={"HTTP_AUTHORIZATION": authorization})
    assert (answer.status_code, answer.json["code"]) == (401, 1001)
    assert "Set-Cookie" not in answer.headers
    assert person.get("/api/user/profile").status_code == 200


def test_of_a_cookie_and_a_bearer_the_bearer_is_who_asks(app: Flask, people: People) -> None:
    one, other = people.add(), people.add()
    answer = client_holding(app, session_id_of(one.client)).get(
        "/api/user/profile", headers={"Authorization": f"Bearer {session_id_of(other.client)}"}
    )
    assert answer.json["data"]["id"] == str(other.id)


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer   {} "])
def test_the_scheme_is_read_as_http_writes_it(app: Flask, person: Person, form: str) -> None:
    client = app.test_client(use_cookies=False)
    headers = {"Authorization": form.format(session_id_of(person.client))}
    assert client.get("/api/user/profile", headers=headers).status_code == 200


def test_two_bearers_are_none(app: Flask, people: People) -> None:
    one, other = people.add(), people.add()
    both = f"{session_id_of(one.client)},Bearer {session_id_of(other.client)}"
    assert ask(app, "GET", "/api/user/profile", both).status_code == 401


def test_a_bearer_is_not_held_to_be_a_foreign_page(app: Flask, people: People, person: Person) -> None:
    token = session_id_of(person.client)
    answer = ask(app, "POST", "/api/user/profile/modify", token, json={"bio": "from the app"}, headers=FOREIGN)
    assert answer.status_code == 200
    assert people.account(person).bio == "from the app"


@pytest.mark.parametrize("authorization", ["", "Basic MTox", "Digest x", "Bearer_x"])
def test_what_a_browser_sends_by_itself_keeps_the_check_for_foreign_pages(person: Person, authorization: str) -> None:
    headers = FOREIGN | {"Authorization": authorization}
    answer = person.client.post("/api/user/profile/modify", json={"bio": "taken over"}, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (403, 1013)


def test_a_foreign_page_that_sends_the_header_gets_nothing_by_the_cookie(people: People, person: Person) -> None:
    headers = FOREIGN | {"Authorization": "Bearer x"}
    answer = person.client.post("/api/user/profile/modify", json={"bio": "taken over"}, headers=headers)
    assert answer.status_code == 401
    assert people.account(person).bio != "taken over"
    assert person.client.post("/api/user/logout", headers=headers).status_code == 401
    assert person.get("/api/user/profile").status_code == 200


def test_the_desk_takes_no_bearer(app: Flask, people: People) -> None:
    from_flask = app.test_cli_runner()
    operator = people.add()
    assert from_flask.invoke(args=["grant-operator", operator.phone]).exit_code == 0
    with app.app_context():
        unlock(operator.id, session_id_of(operator.client))
    assert operator.get("/admin").status_code == 200
    token = session_id_of(operator.client)
    for client in (app.test_client(use_cookies=False), operator.client):
        answer = client.get("/admin", headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.headers["Location"]) == (302, "/?next=/admin")


def test_what_is_told_by_either_is_not_kept_for_the_other(person: Person) -> None:
    headers = person.get("/api/user/profile").headers
    assert {"Authorization", "Cookie"} <= {name.strip() for name in headers["Vary"].split(",")}
    assert headers["Cache-Control"] == "no-store"


def test_the_document_names_both_ways_to_bring_a_session(app: Flask) -> None:
    document = app.test_client().get("/openapi.json").json
    schemes = document["components"]["securitySchemes"]
    assert (schemes["session"]["in"], schemes["session"]["name"]) == ("cookie", SESSION_COOKIE)
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    assert document["paths"]["/api/user/profile"]["get"]["security"] == [{"session": []}, {"bearer": []}]
    assert document["paths"]["/api/user/login"]["post"]["security"] == []
