"""The envelope: of successes, of every kind of error, in two languages, and while a part is away."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from swiper import errors
from swiper.errors import ApiError
from swiper.http.messages import ZH, translate
from swiper.http.responses import as_api_error
from tests.factories import People

pytestmark = pytest.mark.usefixtures("app")

DATABASE_AWAY = "postgresql+psycopg://nobody@127.0.0.1:1/none"
REDIS_AWAY = "unix:///nonexistent.sock"
CODES = {
    "CodeError": (1000, 400),
    "LoginError": (1001, 401),
    "ProfileError": (1002, 422),
    "FileMissingError": (1003, 400),
    "PermissionDeniedError": (1004, 403),
    "ParamError": (1005, 422),
    "RateLimitedError": (1006, 429),
    "NothingToRewindError": (1007, 409),
    "AlreadySwipedError": (1008, 409),
    "NotFoundError": (1009, 404),
    "BannedError": (1010, 403),
    "UnavailableError": (1011, 503),
    "SoldOutError": (1012, 409),
}


@pytest.mark.parametrize(("name", "expected"), CODES.items())
def test_clients_know_these_codes(name: str, expected: tuple[int, int]) -> None:
    kind = getattr(errors, name)
    assert (kind.code, kind.status) == expected


def test_no_code_is_used_twice() -> None:
    kinds = ApiError.__subclasses__()
    assert len({kind.code for kind in kinds}) == len(kinds)


@pytest.mark.parametrize("kind", ApiError.__subclasses__())
def test_every_error_has_a_chinese_sentence(kind: type[ApiError]) -> None:
    assert kind.message in ZH


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh", "zh"),
        ("zh-TW", "zh"),
        ("zh-Hant-HK", "zh"),
        ("en;q=0.5, zh;q=0.9", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.1", "en"),
        ("fr, zh;q=0.2", "zh"),
        ("fr", "en"),
        ("*", "en"),
        ("", "en"),
        (";;;q=x,,", "en"),
        ("x" * 5000, "en"),
    ],
)
def test_the_message_follows_accept_language(client: FlaskClient, header: str, language: str) -> None:
    answer = client.get("/api/user/profile", headers={"Accept-Language": header})
    assert answer.json["message"] == translate("Log in first.", language)


def test_without_accept_language_the_message_is_english(client: FlaskClient) -> None:
    assert client.get("/api/user/profile").json["message"] == "Log in first."


def test_reasons_at_fields_are_translated(client: FlaskClient) -> None:
    answer = client.post("/api/user/login", json={"phonenum": 5, "x": 1}, headers={"Accept-Language": "zh"})
    assert answer.json["message"] == "参数缺失或有误。"
    assert answer.json["errors"] == {
        "phonenum": ["必须是字符串。"],
        "vcode": ["此项必填。"],
        "x": ["未知字段。"],
    }


def test_chinese_is_not_escaped(client: FlaskClient) -> None:
    answer = client.get("/api/vip/levels")
    assert answer.mimetype == "application/json"
    assert "会员-0".encode() in answer.get_data()
    assert b"\\u" not in answer.get_data()


def test_json_is_compact_outside_debug(client: FlaskClient) -> None:
    for path in ("/api/vip/levels", "/api/user/profile", "/healthz"):
        text = client.get(path).get_data(as_text=True).rstrip("\n")
        assert text == json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
        assert text.startswith('{"code":')


def test_json_is_indented_and_sorted_in_debug(make_app: Callable[..., Flask]) -> None:
    client = make_app(debug=True).test_client()
    for path in ("/api/user/profile", "/healthz", "/api/vip/me"):
        text = client.get(path).get_data(as_text=True).rstrip("\n")
        assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2, sort_keys=True)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/no/such/route", 404, 1009),
        ("GET", "/api/no/such/route", 404, 1009),
        ("GET", "/api/user/0", 404, 1009),
        ("GET", "/media/none.jpg", 404, 1009),
        ("GET", "/assets/none.css", 404, 1009),
        ("GET", "/docs/assets/none.js", 404, 1009),
        ("PUT", "/api/user/profile/modify", 405, 1009),
        ("GET", "/api/user/login", 405, 1009),
        ("DELETE", "/healthz", 405, 1009),
        ("BREW", "/healthz", 405, 1009),
    ],
)
def test_unknown_routes_and_methods_keep_the_envelope(
    client: FlaskClient, method: str, path: str, status: int, code: int
) -> None:
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.json["code"], answer.json["data"]) == (status, code, None)
    assert answer.json["message"]
    if status == 405:
        assert answer.headers["Allow"]


def test_the_allowed_methods_are_named(client: FlaskClient) -> None:
    assert set(client.put("/api/user/verify").headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_malformed_json_keeps_the_envelope(client: FlaskClient) -> None:
    answer = client.post("/api/user/login", data="{", content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (400, 1005)
    assert answer.json["message"] == "The request body is not valid JSON."


def test_a_large_body_keeps_the_envelope(client: FlaskClient) -> None:
    body = b'{"phonenum": "' + b"1" * (11 * 1024 * 1024) + b'"}'
    answer = client.post("/api/user/verify", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (413, 1005)


# --- the one handler ---


@pytest.fixture
def failing_app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app()

    @app.get("/api/fails")
    def fail() -> None:
        secret_detail = "the-detail"
        raise KeyError(secret_detail)

    return app


def test_an_exception_in_a_view_is_logged_whole_and_told_in_one_sentence(failing_app: Flask) -> None:
    log = failing_app.config["LOG_DIR"] / "error.log"
    start = log.stat().st_size if log.exists() else 0
    answer = failing_app.test_client().get("/api/fails")
    assert (answer.status_code, answer.json) == (
        500,
        {"code": 1500, "data": None, "message": "Something went wrong on our side."},
    )
    assert "the-detail" not in answer.get_data(as_text=True)
    assert answer.headers["X-Frame-Options"] == "DENY"
    with log.open(encoding="utf-8") as file:
        file.seek(start)
        text = file.read()
    assert "unexpected error in GET /api/fails" in text
    assert "KeyError: 'the-detail'" in text
    assert "Traceback (most recent call last)" in text
    assert f"[{answer.headers['X-Request-Id']}]" in text


def test_even_in_debug_no_traceback_is_sent(make_app: Callable[..., Flask]) -> None:
    app = make_app(debug=True)

    @app.get("/api/fails")
    def fail() -> None:
        raise KeyError("the-detail")

    answer = app.test_client().get("/api/fails")
    assert answer.json["code"] == 1500
    assert "the-detail" not in answer.get_data(as_text=True)


def test_what_a_hook_raises_meets_the_same_handler(make_app: Callable[..., Flask]) -> None:
    app = make_app()

    @app.before_request
    def fail() -> None:
        raise RuntimeError("the-detail")

    answer = app.test_client().get("/healthz")
    assert (answer.status_code, answer.json["code"]) == (500, 1500)


def test_every_kind_of_error_has_one_meeting_point(app: Flask) -> None:
    handlers = {kind: handler for by_kind in app.error_handler_spec[None].values() for kind, handler in by_kind.items()}
    assert Exception in handlers
    assert len(set(handlers.values())) == 1


def test_what_nobody_foresaw_is_an_internal_error() -> None:
    for error in (KeyError("x"), ValueError("x"), RuntimeError("x"), RecursionError()):
        assert as_api_error(error).code == 1500


# --- a part is away ---


def test_health_and_readiness_while_all_is_well(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"code": 0, "data": {"status": "ok"}}
    parts = {"database": True, "schema": True, "redis": True, "worker": None, "beat": False}
    assert client.get("/readyz").json == {"code": 0, "data": parts}


@pytest.fixture
def without_redis(make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app(redis_url=REDIS_AWAY, celery_broker_url="redis+socket:///nonexistent.sock").test_client()


@pytest.fixture
def without_database(make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app(database_url=DATABASE_AWAY).test_client()


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.monotonic()
    return call(), time.monotonic() - started


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/user/verify", {"phonenum": "13800138000"}),
        ("GET", "/api/user/verify?phonenum=13800138000", None),
        ("POST", "/api/user/login", {"phonenum": "13800138000", "vcode": "123456"}),
        ("GET", "/api/user/profile", None),
        ("GET", "/api/social/users", None),
        ("POST", "/api/social/like", {"sid": "5"}),
        ("GET", "/api/vip/me", None),
        ("DELETE", "/api/user/account", None),
    ],
)
def test_without_redis_login_codes_and_quotas_are_unavailable(
    without_redis: FlaskClient, method: str, path: str, body: Any
) -> None:
    without_redis.set_cookie("swiper_session", "1." + "A" * 43)
    answer, seconds = timed(lambda: without_redis.open(path, method=method, json=body))
    assert (answer.status_code, answer.json["code"]) == (503, 1011)
    assert seconds < 1


def test_without_redis_a_cookie_is_neither_believed_nor_dropped(without_redis: FlaskClient, people: People) -> None:
    cookie = people.add().client.get_cookie("swiper_session")
    assert cookie is not None
    without_redis.set_cookie("swiper_session", cookie.value)
    answer = without_redis.get("/api/user/profile")
    assert answer.json["code"] == 1011
    assert "Set-Cookie" not in answer.headers


def test_without_redis_the_levels_come_from_the_database(without_redis: FlaskClient) -> None:
    answer, seconds = timed(lambda: without_redis.get("/api/vip/levels"))
    assert answer.status_code == 200
    assert [level["name"] for level in answer.json["data"]] == ["会员-0", "会员-1", "会员-2", "会员-3"]
    assert seconds < 1.5


def test_without_redis_this_process_lives_but_is_not_ready(without_redis: FlaskClient) -> None:
    assert without_redis.get("/healthz").status_code == 200
    answer = without_redis.get("/readyz")
    assert (answer.status_code, answer.json["code"]) == (503, 1011)
    parts = {"database": True, "schema": True, "redis": False, "worker": None, "beat": None}
    assert answer.json["data"] == parts
    assert without_redis.get("/").status_code == 200


def test_without_the_database_writes_and_reads_are_unavailable(
    without_database: FlaskClient, people: People, app: Flask
) -> None:
    person = people.add()
    cookie = person.client.get_cookie("swiper_session")
    assert cookie is not None
    without_database.set_cookie("swiper_session", cookie.value)
    for method, path, body in (
        ("POST", "/api/user/verify", {"phonenum": "13800138000"}),
        ("GET", "/api/social/users", None),
        ("POST", "/api/user/profile/modify", {"bio": "new"}),
        ("GET", f"/api/user/{person.id}", None),
    ):
        answer, seconds = timed(lambda m=method, p=path, b=body: without_database.open(p, method=m, json=b))
        assert (answer.status_code, answer.json["code"]) == (503, 1011), path
        assert seconds < 2
    with app.app_context():
        assert app.extensions["redis"].keys("{p:*}:lock") == []


def test_without_the_database_this_process_lives_but_is_not_ready(without_database: FlaskClient) -> None:
    answer, seconds = timed(lambda: without_database.get("/readyz"))
    assert (answer.status_code, answer.json["code"]) == (503, 1011)
    parts = {"database": False, "schema": None, "redis": True, "worker": None, "beat": False}
    assert answer.json["data"] == parts
    assert seconds < 2
    assert without_database.get("/healthz").status_code == 200


def test_an_outage_tells_no_address(without_database: FlaskClient, without_redis: FlaskClient) -> None:
    for client in (without_database, without_redis):
        text = client.get("/readyz").get_data(as_text=True)
        text += client.post("/api/user/verify", json={"phonenum": "13800138000"}).get_data(as_text=True)
        assert "127.0.0.1" not in text
        assert "nonexistent" not in text
