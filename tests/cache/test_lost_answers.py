"""Redis runs a command and its answer is lost, so the client sends it again: nothing is consumed or counted twice."""

import functools
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError

from swiper.auth import login, sessions
from swiper.auth.code_budgets import count_guess
from swiper.auth.login import redeem_code
from swiper.extensions import redis
from swiper.redis_client import AppRedis
from swiper.social import ranking
from swiper.tasks.queue import Turn
from tests.factories import People
from tests.proxy import FreezableProxy

PHONE = "13800138000"
COUNT = "return redis.call('INCR', KEYS[1])"
EVAL = rb"EVAL\r\n"


@pytest.fixture
def proxy(redis_url: str) -> Iterator[FreezableProxy]:
    url = urlsplit(redis_url)
    target = (url.path, 0) if url.scheme == "unix" else (url.hostname or "", url.port or 6379)
    with FreezableProxy(*target) as made:
        made.database = "" if url.scheme == "unix" else url.path  # type: ignore[attr-defined]
        yield made


@pytest.fixture
def proxied(app: Flask, make_app: Callable[..., Flask], proxy: FreezableProxy) -> Flask:
    """An application that reaches Redis through the proxy."""
    database = proxy.database  # type: ignore[attr-defined]
    return make_app(redis_url=f"redis://127.0.0.1:{proxy.port}{database}", redis_timeout_seconds=5.0)


def ask(people: People, client: FlaskClient) -> str:
    """Ask for a code; the code."""
    assert client.post("/api/user/verify", json={"phonenum": PHONE}).status_code == 200
    return people.sent_code()


def log_in(client: FlaskClient, code: str) -> Any:
    return client.post("/api/user/login", json={"phonenum": PHONE, "vcode": code})


def test_a_script_that_is_sent_again_gives_its_first_answer(proxied: Flask, proxy: FreezableProxy) -> None:
    with proxied.app_context():
        assert redis.client.eval_once(COUNT, ["counter"]) == 1
        proxy.lose_answer_to(EVAL)
        assert redis.client.eval_once(COUNT, ["counter"]) == 2
        assert proxy.losing is None
        assert redis.client.get("counter") == b"2"
        # What is asked anew is done anew.
        assert redis.client.eval_once(COUNT, ["{u:1}:counter"]) == 1
        assert redis.client.eval_once(COUNT, ["{u:1}:counter"]) == 2
        kept = list(redis.client.keys("*:answer:*"))
        assert kept
        assert all(0 < redis.client.pttl(key) <= 10_000 for key in kept)


@pytest.mark.parametrize(
    ("answer", "expected"), [("0", 0), ("86400000", 86_400_000), ("{1, 'text'}", [1, b"text"]), ("'text'", b"text")]
)
def test_a_repetition_answers_as_the_first_time(app: Flask, answer: str, expected: Any) -> None:
    with app.app_context():
        command = redis.client.once(f"return {answer}", ["{u:1}:k"])
        assert [redis.client.execute_command(*command) for _ in range(2)] == [expected] * 2


def test_a_limit_is_hit_once(proxied: Flask, proxy: FreezableProxy, app: Flask) -> None:
    person = People(proxied).add()
    for _ in range(2):
        # Redis learns the limiter's script.
        assert person.client.post("/api/user/avatar/upload").status_code == 400
    proxy.lose_answer_to(rb"EVALSHA\r\n")
    assert person.client.post("/api/user/avatar/upload").json["code"] == 1011
    assert proxy.losing is None
    with app.app_context():
        (key,) = redis.client.keys("LIMITS:*upload*")
        assert redis.client.get(key) == b"3"


def test_a_right_code_is_right_when_the_first_answer_is_lost(
    proxied: Flask, proxy: FreezableProxy, client: FlaskClient, people: People
) -> None:
    code = ask(people, client)
    with proxied.app_context():
        proxy.lose_answer_to(EVAL)
        assert redeem_code(f"+86{PHONE}", code) > 0
        assert proxy.losing is None
        assert redeem_code(f"+86{PHONE}", code) == 0


def test_a_wrong_guess_counts_once(proxied: Flask, proxy: FreezableProxy, client: FlaskClient, people: People) -> None:
    code = ask(people, client)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    with proxied.app_context():
        for _ in range(4):
            proxy.lose_answer_to(EVAL)
            assert redeem_code(f"+86{PHONE}", wrong) == 0
        assert redeem_code(f"+86{PHONE}", code) > 0


def test_a_code_is_issued_and_counted_once(
    proxied: Flask, proxy: FreezableProxy, app: Flask, client: FlaskClient, people: People
) -> None:
    ask(people, client)
    counted = counts(app)
    with app.app_context():
        redis.client.flushdb()
    proxy.lose_answer_to(EVAL)
    assert proxied.test_client().post("/api/user/verify", json={"phonenum": PHONE}).status_code == 200
    assert proxy.losing is None
    assert counts(app) == counted


def counts(app: Flask) -> dict[bytes, int]:
    """Every counter that a request for a code leaves."""
    with app.app_context():
        found = {key: redis.client.get(key) for key in redis.client.keys("*") if redis.client.type(key) == b"string"}
    others = (b":answer:", b":lock")
    return {
        key: int(value)
        for key, value in found.items()
        if value and value.isdigit() and not any(other in key for other in others)
    }


def test_a_login_counts_once_against_its_address(proxied: Flask, proxy: FreezableProxy, app: Flask) -> None:
    proxy.lose_answer_to(EVAL)
    with proxied.app_context():
        count_guess("203.0.113.9")
        count_guess("203.0.113.9")
    assert 2 in counts(app).values()


def test_points_are_added_once(proxied: Flask, proxy: FreezableProxy) -> None:
    with proxied.app_context():
        proxy.lose_answer_to(EVAL)
        ranking.add_all({7: 5})
        assert redis.client.zscore(ranking.KEY, "7") == 5


def test_a_turn_whose_answer_was_lost_is_held(proxied: Flask, proxy: FreezableProxy) -> None:
    with proxied.app_context():
        proxy.lose_answer_to(EVAL)
        turn = Turn("sweep", 20)
        assert turn
        assert not Turn("sweep", 20)
        turn.give_back()
        assert Turn("sweep", 20)


# --- a login that fails half-way ---


def failing(error: Exception, script: str, ask_redis: Any, self: AppRedis, *args: Any, **options: Any) -> Any:
    if any(script in str(part) for part in args):
        raise error
    return ask_redis(self, *args, **options)


@pytest.mark.parametrize("error", [RedisConnectionError("gone"), ReadOnlyError("a replica")])
def test_a_login_whose_session_is_not_stored_brings_no_cookie_and_spares_the_code(
    client: FlaskClient, people: People, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    code, ask_redis = ask(people, client), AppRedis.execute_command
    with monkeypatch.context() as patch:
        # Neither script stands in what others send.
        fail = functools.partialmethod(
            lambda self, *args, **options: failing(error, "'ZADD', KEYS[2]", ask_redis, self, *args, **options)
        )
        patch.setattr(AppRedis, "execute_command", fail)
        answer = log_in(client, code)
    assert (answer.status_code, answer.json["code"]) == (503, 1011)
    assert "Set-Cookie" not in answer.headers
    assert "nothing was changed" in answer.json["message"]
    assert log_in(client, code).json["code"] == 0


def test_an_answer_does_not_say_that_nothing_changed_where_the_code_may_be_spent(
    client: FlaskClient, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis goes away after it has consumed the code: it can be neither used nor restored."""
    code = ask(people, client)

    def lose(*_: Any) -> None:
        raise RedisConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(sessions, "start_session", lose)
        patch.setattr(login, "restore_code", lose)
        answer = log_in(client, code)
    assert (answer.status_code, answer.json["code"]) == (503, 1011)
    assert "Set-Cookie" not in answer.headers
    assert "nothing was changed" not in answer.json["message"]
    assert "ask for a new one" in answer.json["message"]
    in_doubt = pytest.MonkeyPatch()
    with in_doubt.context() as patch:
        patch.setattr(login, "redeem_code", lose)
        assert "ask for a new one" in log_in(client, code).json["message"]


def test_a_restored_code_does_not_replace_one_that_was_issued_meanwhile(
    app: Flask, client: FlaskClient, people: People
) -> None:
    client.post("/api/user/verify", json={"phonenum": PHONE})
    code = people.sent_code()
    with app.app_context():
        login.restore_code(f"+86{PHONE}", "111111", 60_000)
    assert client.post("/api/user/login", json={"phonenum": PHONE, "vcode": code}).status_code == 200
