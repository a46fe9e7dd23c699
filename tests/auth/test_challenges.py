"""Codes as a weapon: whose guesses count, and how a stranger's requests and guesses leave the owner's login alone."""

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from swiper.auth.challenges import keys_of, live_codes
from swiper.auth.codes import issue_code
from swiper.auth.login import redeem_code, restore_code
from swiper.extensions import redis
from tests.factories import People, at_once

pytestmark = pytest.mark.usefixtures("app")

PHONE = "13800138000"
STORED = "+8613800138000"
OWNER = "198.51.100.1"


def network(number: int) -> str:
    """An address in a network of its own."""
    return f"203.0.{number}.7"


def ask(client: FlaskClient, address: str = OWNER, phone: str = PHONE, **body: str) -> Any:
    return client.post("/api/user/verify", json={"phonenum": phone} | body, environ_base={"REMOTE_ADDR": address})


def enter(client: FlaskClient, code: str, address: str = OWNER, **body: str) -> int:
    # Half of a surrogate pair gets through as JSON's own escape only.
    login = json.dumps({"phonenum": PHONE, "vcode": code} | body)
    peer = {"REMOTE_ADDR": address}
    answer = client.post("/api/user/login", data=login, content_type="application/json", environ_base=peer)
    return int(answer.json["code"])


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def after(app: Flask, *parts: str) -> None:
    """Stands for the time after which these keys of the number have run out."""
    with app.app_context():
        for key in keys_of(STORED):
            if key.rpartition(":")[2] in parts:
                redis.client.delete(key)


def use_up_hour(app: Flask, address: Callable[[int], str] = lambda _: network(0)) -> None:
    """A stranger's five requests, a minute after each other."""
    for number in range(5):
        assert ask(app.test_client(), address(number)).json["data"]["delivery"] == "sent"
        after(app, "lock")


@pytest.fixture
def known(app: Flask, people: People) -> FlaskClient:
    """A browser that has logged in to the number before; its budgets are those of another day."""
    client = app.test_client()
    ask(client)
    assert enter(client, people.sent_code()) == 0
    after(app, "lock", "hour", "day", "codes")
    return client


def test_a_stranger_s_guesses_do_not_count_against_the_owner(app: Flask, client: FlaskClient, people: People) -> None:
    ask(client)
    code = people.sent_code()
    for number in range(50):
        assert enter(app.test_client(), wrong(code), network(number)) == 1000
    assert enter(client, code) == 0


def test_the_token_serves_a_client_that_keeps_no_cookies(app: Flask, people: People) -> None:
    challenge = ask(app.test_client()).json["data"]["challenge"]
    code = people.sent_code()
    for _ in range(5):
        enter(app.test_client(), wrong(code))
    assert enter(app.test_client(), code) == 1000
    assert enter(app.test_client(), code, challenge=challenge) == 0


def test_a_client_that_sends_only_phone_and_code_logs_in_by_number(app: Flask, people: People) -> None:
    ask(app.test_client())
    code = people.sent_code()
    assert [enter(app.test_client(), wrong(code)) for _ in range(4)] == [1000] * 4
    assert enter(app.test_client(), code) == 0


def test_five_guesses_of_a_challenge_end_it_for_its_holder(app: Flask, client: FlaskClient, people: People) -> None:
    ask(client)
    code = people.sent_code()
    assert [enter(client, wrong(code)) for _ in range(5)] == [1000] * 5
    assert enter(client, code) == 1000


def test_a_challenge_for_another_number_or_of_nobody_opens_nothing(app: Flask, people: People) -> None:
    ask(app.test_client(), phone="13900139000")
    other = ask(app.test_client(), phone="13700137000").json["data"]["challenge"]
    ask(app.test_client())
    code = people.sent_code()
    for number, challenge in enumerate((other, "x", "\ud800", "A" * 64) * 2):
        assert enter(app.test_client(), wrong(code), network(number), challenge=challenge) == 1000
    # They counted as guesses by number, which are used up now.
    assert enter(app.test_client(), code, challenge=other) == 1000


def test_a_stranger_s_request_neither_replaces_nor_kills_the_owner_s_code(
    app: Flask, client: FlaskClient, people: People
) -> None:
    ask(client)
    code = people.sent_code()
    after(app, "lock")
    assert ask(app.test_client(), network(1)).json["data"]["delivery"] == "sent"
    assert enter(client, code) == 0


def test_without_a_challenge_too_a_stranger_s_request_leaves_the_owner_s_code(app: Flask, people: People) -> None:
    ask(app.test_client())
    code = people.sent_code()
    after(app, "lock")
    ask(app.test_client(), network(1))
    assert enter(app.test_client(), code) == 0


def test_within_the_resend_lock_the_owner_may_use_the_code_that_a_stranger_asked_for(
    app: Flask, client: FlaskClient, people: People
) -> None:
    ask(app.test_client(), network(1))
    answer = ask(client)
    assert answer.json["data"]["delivery"] == "sent_before"
    assert 0 < answer.json["data"]["resend_in"] <= 60
    code = people.sent_code()
    for number in range(9):
        enter(app.test_client(), wrong(code), network(number))
    assert enter(client, code) == 0


def test_five_requests_of_a_stranger_do_not_lock_the_owner_out(app: Flask, client: FlaskClient, people: People) -> None:
    use_up_hour(app)
    assert ask(client).json["data"]["delivery"] == "sent_before"
    assert enter(client, people.sent_code()) == 0
    assert len((app.config["INSTANCE"] / "sms-outbox.jsonl").read_text().splitlines()) == 5


def test_who_has_a_way_in_already_is_told_to_wait(app: Flask, client: FlaskClient) -> None:
    ask(client)
    assert ask(client).json["code"] == 1006
    # From another network, and with the token instead of the cookie.
    assert ask(client, network(1)).json["code"] == 1006
    # The same network once more, without either.
    assert ask(app.test_client()).json["code"] == 1006


def test_the_owner_s_device_gets_a_code_when_strangers_have_used_up_hour_and_day(
    app: Flask, known: FlaskClient, people: People
) -> None:
    for _ in range(2):
        use_up_hour(app)
        after(app, "hour")
    after(app, "codes", "lock")
    assert ask(app.test_client(), network(9)).json["code"] == 1006
    for _ in range(3):
        assert ask(known).json["data"]["delivery"] == "sent"
        assert enter(known, people.sent_code()) == 0
        after(app, "lock")
    # The reserve has an end as well: whoever holds the device floods nobody.
    answer = ask(known)
    assert answer.json["code"] == 1006
    assert int(answer.headers["Retry-After"]) > 80_000


def test_the_owner_s_device_has_a_place_at_the_code_when_strangers_have_taken_all(
    app: Flask, known: FlaskClient, people: People
) -> None:
    use_up_hour(app, network)
    assert [ask(app.test_client(), network(100 + n)).json["code"] for n in range(5)] == [0, 0, 0, 1006, 1006]
    after(app, "own")
    with app.app_context():
        redis.client.set(keys_of(STORED)[4], 3, ex=3600)
    assert ask(known).json["data"]["delivery"] == "sent_before"
    assert enter(known, people.sent_code()) == 0


def test_a_device_is_known_to_the_number_that_it_has_logged_in_to_alone(app: Flask, known: FlaskClient) -> None:
    mark = known.get_cookie("swiper_device", path="/api/user")
    assert mark is not None
    assert STORED[3:] not in mark.value
    for number in range(5):
        assert ask(app.test_client(), network(number), "13900139000").json["data"]["delivery"] == "sent"
        with app.app_context():
            redis.client.delete(keys_of("+8613900139000")[1])
    with app.app_context():
        redis.client.delete(keys_of("+8613900139000")[0])
    assert ask(known, phone="13900139000").json["code"] == 1006


@pytest.mark.parametrize("forged", ["1." + "0" * 32, "9" * 12 + "." + "a" * 32, "~~~", "x", "1.\xff"])
def test_a_forged_device_is_a_stranger(app: Flask, client: FlaskClient, forged: str) -> None:
    use_up_hour(app)
    after(app, "codes", "lock")
    client.set_cookie("swiper_device", forged, path="/api/user")
    assert ask(client).json["code"] == 1006


def test_a_code_has_a_bounded_number_of_guesses_whoever_makes_them(app: Flask, people: People) -> None:
    """Four networks with five guesses each, and five by number: 25 in a million, however many take part."""
    clients = [app.test_client() for _ in range(12)]
    for number, client in enumerate(clients):
        ask(client, network(number))
    code = people.sent_code()
    for number, client in enumerate([*clients, *(app.test_client() for _ in range(5))]):
        for _ in range(6):
            enter(client, wrong(code), network(number))
    with app.app_context():
        [stored] = live_codes(STORED)
    assert stored["left"] == 0
    assert [way["left"] for way in stored["ways"]] == [0] * 4
    assert all(enter(client, code) == 1000 for client in clients)


def test_parallel_logins_through_all_ways_log_in_once(app: Flask, make_app: Callable[..., Flask]) -> None:
    patient = make_app(redis_timeout_seconds=20.0)
    holders = [patient.test_client() for _ in range(4)]
    for number, client in enumerate(holders):
        assert ask(client, network(number)).json["code"] == 0
    code = People(patient).sent_code()
    ways = [client.get_cookie("swiper_challenge", path="/api/user").value for client in holders]  # type: ignore[union-attr]
    bodies = [{"challenge": way} for way in ways * 10] + [{}] * 40
    random.shuffle(bodies)
    answers = at_once([lambda body=body: enter(patient.test_client(), code, **body) for body in bodies])  # type: ignore[misc]
    assert Counter(answers) == {0: 1, 1000: len(bodies) - 1}


def test_a_new_request_of_the_same_browser_ends_its_former_code(
    app: Flask, client: FlaskClient, people: People
) -> None:
    ask(client)
    old = people.sent_code()
    after(app, "lock")
    # From another network: the challenge tells who it is.
    ask(client, network(1))
    new = people.sent_code()
    if old != new:
        assert enter(app.test_client(), old) == 1000
        assert enter(client, old) == 1000
    assert enter(client, new) == 0


def test_a_request_that_fails_brings_the_former_code_back(
    app: Flask, client: FlaskClient, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(client)
    code = people.sent_code()
    after(app, "lock")

    def fail(*_: Any) -> None:
        raise ConnectionError

    cookie = client.get_cookie("swiper_challenge", path="/api/user")
    assert cookie is not None
    with app.app_context():
        with monkeypatch.context() as patch:
            patch.setattr("swiper.auth.codes._put_into_outbox", fail)
            with pytest.raises(ConnectionError):
                issue_code(PHONE, OWNER, challenge=cookie.value)
        assert [redis.client.get(key) for key in keys_of(STORED)[1:4]] == [None, b"1", b"1"]
    assert enter(client, code) == 0


@pytest.mark.usefixtures("context")
def test_a_code_for_one_purpose_opens_nothing_else(people: People) -> None:
    issued = issue_code(PHONE, OWNER, purpose="delete")
    code = people.sent_code()
    assert redeem_code(STORED, code, issued.challenge) == 0
    assert redeem_code(STORED, code, issued.challenge, purpose="export") == 0
    rest_ms = redeem_code(STORED, code, issued.challenge, purpose="delete")
    assert rest_ms > 0
    restore_code(STORED, code, rest_ms, purpose="delete")
    assert redeem_code(STORED, code, purpose="delete") > 0


@pytest.mark.usefixtures("context")
def test_a_restored_code_has_its_guess_back(people: People) -> None:
    issued = issue_code(PHONE, OWNER)
    code = people.sent_code()
    for _ in range(20):
        rest_ms = redeem_code(STORED, code, issued.challenge)
        assert rest_ms > 0
        restore_code(STORED, code, rest_ms)


@pytest.mark.parametrize("is_right", [True, False])
@pytest.mark.usefixtures("context")
def test_a_guess_that_is_sent_twice_counts_once_and_is_answered_the_same(people: People, is_right: bool) -> None:
    """As after a lost connection: the client of Redis does not know whether the first one has arrived."""
    issued = issue_code(PHONE, OWNER)
    code = people.sent_code()
    guess = code if is_right else wrong(code)
    with repeated_evals():
        answers = [redeem_code(STORED, guess, issued.challenge), redeem_code(STORED, guess)]
    assert [answer > 0 for answer in answers] == [is_right, False]
    [stored] = live_codes(STORED)
    assert [stored["left"], stored["ways"][0]["left"]] == ([5, 4] if is_right else [4, 4])


@pytest.mark.usefixtures("context")
def test_a_request_that_is_sent_twice_counts_once(people: People) -> None:
    with repeated_evals():
        issue_code(PHONE, OWNER)
    assert [redis.client.get(key) for key in keys_of(STORED)[2:4]] == [b"1", b"1"]
    assert len(live_codes(STORED)) == 1
    assert redeem_code(STORED, people.sent_code()) > 0


def repeated_evals() -> Any:
    """Each script is sent twice, and the second answer counts."""
    patch = pytest.MonkeyPatch()
    client = redis.client
    once = type(client).eval

    def twice(*args: Any) -> Any:
        once(client, *args)
        return once(client, *args)

    class Repeated:
        def __enter__(self) -> None:
            patch.setattr(client, "eval", twice)

        def __exit__(self, *_: object) -> None:
            patch.undo()

    return Repeated()


def test_strangers_and_the_owner_at_the_same_moment(app: Flask, make_app: Callable[..., Flask]) -> None:
    """Whatever comes first: one message, and the owner has a way to its code."""
    patient = make_app(redis_timeout_seconds=20.0)
    owner, start = patient.test_client(), threading.Barrier(4)
    answers: list[str] = []

    def request(client: FlaskClient, address: str) -> None:
        start.wait()
        answers.append(ask(client, address).json["data"]["delivery"])

    askers = [(owner, OWNER), *((patient.test_client(), network(number)) for number in range(3))]
    threads = [threading.Thread(target=request, args=asker) for asker in askers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(answers) == {"sent": 1, "sent_before": 3}
    assert enter(owner, People(patient).sent_code()) == 0
