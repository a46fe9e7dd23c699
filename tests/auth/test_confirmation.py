"""Deletion and export ask for a fresh code of the own number: whoever has a session alone gets neither."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from swiper.auth.challenges import is_open, live_codes
from swiper.auth.login import restore_code
from swiper.profiles import accounts, exports
from tests.factories import People, Person, at_once, client_holding, session_id_of

pytestmark = pytest.mark.usefixtures("app")

OPERATIONS = [("GET", "/api/user/export"), ("POST", "/api/user/export"), ("DELETE", "/api/user/account")]


@pytest.fixture
def person(people: People) -> Person:
    return people.add(bio="my words")


def ask(person: Person, method: str, path: str, code: str | None = None) -> Any:
    headers = {} if code is None else {"X-Confirm-Code": code}
    return person.client.open(path, method=method, headers=headers)


def has_code(person: Person) -> bool:
    """True while the code of the person's number is not spent."""
    with person.client.application.app_context():
        return any(is_open(code) for code in live_codes(person.phone))


def is_there(person: Person) -> bool:
    return bool(person.get("/api/user/profile").status_code == 200)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_session_alone_is_not_enough(app: Flask, people: People, method: str, path: str) -> None:
    person = people.log_in("13800138000")
    # The code of the login a moment ago is used up, and counts for nothing more.
    for headers in ({}, {"X-Confirm-Code": ""}):
        answer = person.client.open(path, method=method, headers=headers)
        assert (answer.status_code, answer.json["code"], answer.json["data"]) == (403, 1017, None)
    assert ask(person, method, path, people.sent_code()).json["code"] == 1000
    assert is_there(person)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_it_is_said_in_the_caller_s_language(person: Person, method: str, path: str) -> None:
    answer = person.client.open(path, method=method, headers={"Accept-Language": "zh"})
    assert answer.json["message"] == "请用新的验证码确认此操作。"


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_code_that_was_asked_for_as_at_login_does_it_once(people: People, method: str, path: str) -> None:
    person = people.add()
    assert person.post("/api/user/verify", phonenum=person.phone).status_code == 200
    code = people.sent_code()
    assert ask(person, method, path, code).status_code == 200
    assert ask(person, method, path, code).status_code in (400, 401)


@pytest.mark.parametrize("kind", ["json", "data"])
@pytest.mark.parametrize(("method", "path"), OPERATIONS[1:])
def test_the_code_may_come_in_the_body(person: Person, kind: str, method: str, path: str) -> None:
    options = {kind: {"vcode": person.fresh_code()}}
    assert person.client.open(path, method=method, **options).status_code == 200


def test_a_code_may_be_spelled_as_at_login(person: Person) -> None:
    person.fresh_code()
    assert ask(person, "POST", "/api/user/export", "123-456").status_code == 200


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_code_in_the_address_counts_for_nothing(person: Person, method: str, path: str) -> None:
    """Addresses are written into logs."""
    code = person.fresh_code()
    answer = person.client.open(f"{path}?vcode={code}", method=method)
    assert answer.json["code"] in (1005, 1017)
    assert has_code(person)


@pytest.mark.parametrize("code", ["000000", "x", "1" * 64, "１２３", "123456\x00", "é"])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_wrong_code_changes_and_tells_nothing(person: Person, method: str, path: str, code: str) -> None:
    person.fresh_code()
    environ = {"HTTP_X_CONFIRM_CODE": code.encode().decode("latin-1")}
    answer = person.client.open(path, method=method, environ_overrides=environ)
    assert (answer.status_code, answer.json["code"]) == (400, 1000)
    assert "my words" not in answer.text
    assert is_there(person)


def test_what_is_no_text_is_refused_as_a_parameter(person: Person) -> None:
    for given in ({"vcode": 123456}, {"vcode": None}, {"vcode": "1" * 65}, {"code": "123456"}):
        answer = person.client.delete("/api/user/account", json=given)
        assert (answer.status_code, answer.json["code"]) == (422, 1005), given


def test_a_stolen_session_guesses_as_seldom_as_anybody(app: Flask, person: Person) -> None:
    person.fresh_code()
    thief = client_holding(app, session_id_of(person.client))
    for guess in range(app.config["CODE_MAX_GUESSES"]):
        thief.delete("/api/user/account", json={"vcode": f"00000{guess}"})
    answer = thief.delete("/api/user/account", json={"vcode": "123456"})
    assert (answer.status_code, answer.json["code"]) == (400, 1000)
    assert is_there(person)


def test_guesses_here_count_against_the_address_as_at_login(make_app: Callable[..., Flask]) -> None:
    app = make_app(login_per_ip_per_minute=2)
    person = People(app).add()
    # What carries no code is no guess.
    codes = [None, None, None, "000000", "000000", "000000"]
    found = [ask(person, "POST", "/api/user/export", code).json["code"] for code in codes]
    assert found == [1017, 1017, 1017, 1000, 1000, 1006]


def test_the_code_of_somebody_else_s_number_counts_for_nothing(app: Flask, people: People, person: Person) -> None:
    with app.app_context():
        restore_code(people.add().phone, "654321", 60_000)
    assert ask(person, "DELETE", "/api/user/account", "654321").json["code"] == 1000
    assert is_there(person)


def test_one_code_serves_one_of_many_requests_at_once(app: Flask, person: Person) -> None:
    code = person.fresh_code()
    clients = [client_holding(app, session_id_of(person.client)) for _ in range(8)]
    options = {"headers": {"X-Confirm-Code": code}, "buffered": True}
    answers = at_once([lambda client=client: client.get("/api/user/export", **options) for client in clients])
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_code_is_not_spent_by_what_could_not_be_done(
    person: Person, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    code = person.fresh_code()

    def fail(uid: int) -> None:
        raise OperationalError("SELECT", {}, Exception("the server went away"))

    with monkeypatch.context() as patch:
        patch.setattr(exports, "begin_export", fail)
        patch.setattr(accounts, "delete_account", fail)
        assert ask(person, method, path, code).status_code in (500, 503)
    assert has_code(person)
    assert ask(person, method, path, code).status_code == 200


def test_a_bearer_needs_the_code_as_well(app: Flask, person: Person) -> None:
    headers = {"Authorization": f"Bearer {session_id_of(person.client)}"}
    client = app.test_client(use_cookies=False)
    assert client.delete("/api/user/account", headers=headers).json["code"] == 1017
    headers["X-Confirm-Code"] = person.fresh_code()
    assert client.delete("/api/user/account", headers=headers).status_code == 200
    assert not is_there(person)


def test_the_code_stands_in_no_answer_and_no_log(person: Person, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    code = person.fresh_code()
    answers = [ask(person, "GET", "/api/user/export", "987654"), ask(person, "GET", "/api/user/export", code)]
    for text in [*(answer.text for answer in answers), caplog.text]:
        assert "987654" not in text
    assert f'"{code}"' not in json.dumps(answers[1].json)


def test_only_a_right_code_takes_the_hour_s_export_and_a_used_up_hour_spends_no_code(person: Person) -> None:
    person.fresh_code()
    for code, expected in ((None, 1017), ("000000", 1000), (person.fresh_code(), 0)):
        assert ask(person, "POST", "/api/user/export", code).get_json(force=True)["code"] == expected
    code = person.fresh_code()
    assert ask(person, "POST", "/api/user/export", code).json["code"] == 1006
    assert ask(person, "DELETE", "/api/user/account", code).status_code == 200
