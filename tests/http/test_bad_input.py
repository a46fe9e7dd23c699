"""Hostile and broken input at every endpoint: the expected code, never a 500, and nothing changed."""

import json
import random
import sys
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from swiper.extensions import db, redis
from tests.endpoints import BODIES, OPTIONAL
from tests.factories import People, Person

FIELDS = [(path, name) for path, (body, _) in BODIES.items() for name in body]
REQUIRED = [pair for pair in FIELDS if pair not in OPTIONAL]
IDS = [path for path, (body, _) in BODIES.items() if {"sid", "sale_id"} & set(body)]
QUERIES = [
    ("/api/social/users", "group_num"),
    ("/api/social/friends", "page"),
    ("/api/social/friends", "per_page"),
    ("/api/social/liked_me", "page"),
    ("/api/social/liked_me", "per_page"),
]
ID_PATHS = [
    ("GET", "/api/user/{}"),
    ("DELETE", "/api/user/photos/{}"),
    ("GET", "/api/vip/orders/{}"),
    ("GET", "/api/vip/qbuy/{}"),
    ("POST", "/api/vip/payments/sandbox/checkout/{}"),
]
BAD_IDS: list[Any] = [
    *("", "0", "-1", "x", " 5", "5 ", "+5", "5.0", "5e3", "0x5", "1_000", "５", "٥", "5\x00", "5\n", "\ud800"),
    *(str(2**63), str(2**64), str(2**64 + 5), "9" * 19, "9" * 5000, "None", "true", "[5]"),
    *(0, -1, 2**63, 2**64, 10**100, 5.0, 5.5, 1e308, True, False, None, [], [5], {}, {"sid": 5}),
]
MALFORMED = {
    "nothing": b"",
    "open brace": b"{",
    "trailing comma": b'{"sid": 1,}',
    "single quotes": b"{'sid': 1}",
    "two values": b'{"sid": 1}{"sid": 2}',
    "bare word": b"sid",
    "lone bytes": b"\xff\xfe\x00",
    "invalid utf-8 inside": b'{"sid": "\xff"}',
    "utf-16": '{"sid": "1"}'.encode("utf-16"),
    "null byte": b'{"sid": "1"}\x00',
    "control character in a string": b'{"sid": "1\n"}',
    "deep arrays": b"[" * 20_000 + b"]" * 20_000,
    "deep objects": b'{"sid":' * 6_000 + b"1" + b"}" * 6_000,
    "a number of 5,000 digits": b'{"sid": ' + b"1" * 5000 + b"}",
}
# Python 3.14 reads arrays that are as deep as its stack has room for, which is deeper than a body can be.
NO_JSON = ["open brace", "trailing comma", "bare word", "lone bytes", "a number of 5,000 digits"]
NO_JSON += ["deep arrays"] if sys.version_info < (3, 14) else []
NOT_AN_OBJECT = ["null", "true", "5", "1.5", '"text"', "[]", '[{"sid": "5"}]', "NaN", "Infinity"]
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def person(people: People) -> Person:
    return people.add(vip=3)


def state_of(app: Flask) -> dict[str, list[Any]]:
    """Everything in the database, and what Redis holds of codes, sessions and ranking."""
    state: dict[str, list[Any]] = {}
    with app.app_context():
        with db.engine.connect() as connection:
            # Two changes that make up for each other leave their notes for a while.
            for table in [table for table in db.metadata.sorted_tables if table.name != "invalidations"]:
                state[table.name] = sorted(connection.execute(select(table)).all(), key=repr)
        for pattern in ("{p:*", "sms:*", "{u:*}:session:*", "{ranking}"):
            state[pattern] = sorted(redis.client.keys(pattern))
    return state


def post(client: FlaskClient, path: str, body: Any) -> Any:
    """JSON with lone surrogates escaped, which the test client's own encoder would refuse."""
    return client.post(path, data=json.dumps(body), content_type=JSON)


def expect(answer: Any, status: int, code: int) -> None:
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.get_data(as_text=True)[:300]
    assert answer.json["data"] is None
    assert isinstance(answer.json["message"], str)
    for reasons in answer.json.get("errors", {}).values():
        assert reasons
        assert all(isinstance(reason, str) for reason in reasons)


def test_every_endpoint_that_takes_a_body_is_listed_here(app: Flask) -> None:
    elsewhere = {"/api/user/avatar/upload", "/api/user/photos"}
    with_body = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and rule.rule.startswith("/api/") and "<" not in rule.rule
    }
    assert with_body - elsewhere == set(BODIES)


@pytest.mark.parametrize("path", BODIES)
def test_malformed_json_is_refused(app: Flask, person: Person, path: str) -> None:
    before = state_of(app)
    for name, body in MALFORMED.items():
        if name == "nothing":
            continue
        answer = person.client.post(path, data=body, content_type=JSON)
        assert (answer.status_code, answer.json["code"]) in ((400, 1005), (422, BODIES[path][1])), name
    assert state_of(app) == before


@pytest.mark.parametrize("path", ["/api/user/login", "/api/social/like", "/api/user/profile/modify"])
@pytest.mark.parametrize("name", NO_JSON)
def test_malformed_json_is_400_and_says_so(person: Person, path: str, name: str) -> None:
    answer = person.client.post(path, data=MALFORMED[name], content_type=JSON)
    expect(answer, 400, 1005)
    assert answer.json["message"] == "The request body is not valid JSON."


@pytest.mark.parametrize("path", BODIES)
def test_json_that_is_no_object_is_refused(app: Flask, person: Person, path: str) -> None:
    before = state_of(app)
    for body in NOT_AN_OBJECT:
        answer = person.client.post(path, data=body, content_type=JSON)
        expect(answer, 422, BODIES[path][1])
    assert state_of(app) == before


@pytest.mark.parametrize(("path", "field"), FIELDS)
def test_a_wrong_type_is_refused_at_its_field(app: Flask, person: Person, path: str, field: str) -> None:
    body, code = BODIES[path]
    before = state_of(app)
    wrong: list[Any] = [[], {}, [body[field]], {"value": body[field]}, 1.5, "\ud800" * 3, float("nan"), float("inf")]
    for value in wrong:
        answer = post(person.client, path, body | {field: value})
        if field == "vcode" and isinstance(value, str):
            expect(answer, 400, 1000)
            continue
        expect(answer, 422, code)
        assert list(answer.json["errors"]) == [field], value
    assert state_of(app) == before


@pytest.mark.parametrize(("path", "field"), REQUIRED)
@pytest.mark.parametrize("is_form", [True, False], ids=["form", "json"])
def test_a_missing_field_is_named(person: Person, path: str, field: str, is_form: bool) -> None:
    body, code = BODIES[path]
    rest = {name: value for name, value in body.items() if name != field}
    answer = person.client.post(path, data=rest) if is_form else person.client.post(path, json=rest)
    expect(answer, 422, code)
    assert answer.json["errors"] == {field: ["Missing data for required field."]}


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("name", ["x", "", "__class__", "sid\x00", "\ud800", "ключ", "a" * 5000, "uid"])
def test_an_unknown_field_is_refused(app: Flask, person: Person, path: str, name: str) -> None:
    body, code = BODIES[path]
    before = state_of(app)
    expect(post(person.client, path, body | {name: 1}), 422, code)
    assert state_of(app) == before


@pytest.mark.parametrize("path", BODIES)
def test_a_form_field_sent_twice_is_refused(app: Flask, person: Person, path: str) -> None:
    body, code = BODIES[path]
    before = state_of(app)
    for field, value in body.items():
        twice = person.client.post(path, data=body | {field: [str(value), str(value)]})
        expect(twice, 422, code)
        assert list(twice.json["errors"]) == [field]
    assert state_of(app) == before


@pytest.mark.parametrize("path", BODIES)
def test_a_form_of_broken_bytes_is_refused(app: Flask, person: Person, path: str) -> None:
    before = state_of(app)
    for field in BODIES[path][0]:
        for raw in (b"%FF%FE", b"\xff\xfe", b"%ED%A0%80", b"%00", b"%", b"%zz"):
            answer = person.client.post(path, data=f"{field}=".encode() + raw, content_type=FORM)
            assert answer.status_code in (200, 400, 422), raw
            if answer.status_code == 200:
                # A text field takes the replacement character for what it is: a character.
                assert field == "bio"
                person.post("/api/user/profile/modify", bio="")
    assert state_of(app) == before


@pytest.mark.parametrize("path", BODIES)
def test_a_body_of_another_kind_is_refused(app: Flask, person: Person, path: str) -> None:
    before = state_of(app)
    body, _ = BODIES[path]
    for kind in ("text/plain", "application/xml", "application/octet-stream", "", "x", "multipart/form-data"):
        expect(person.client.post(path, data=json.dumps(body), content_type=kind), 415, 1015)
    assert state_of(app) == before


@pytest.mark.parametrize("path", BODIES)
def test_a_huge_body_is_refused(app: Flask, person: Person, path: str) -> None:
    before = state_of(app)
    huge = b'{"x": "' + b"x" * (65 * 1024) + b'"}'
    expect(person.client.post(path, data=huge, content_type=JSON), 413, 1005)
    expect(person.client.post(path, data=b"x=" + b"x" * (65 * 1024), content_type=FORM), 413, 1005)
    part = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + b"x" * 200_000 + b"\r\n--b--\r\n"
    expect(person.client.post(path, data=part, content_type="multipart/form-data; boundary=b"), 413, 1005)
    assert state_of(app) == before


@pytest.mark.parametrize("path", [*BODIES, "/api/user/account", "/api/social/users", "/api/vip/levels"])
def test_a_wrong_method_is_refused(app: Flask, person: Person, path: str) -> None:
    before = state_of(app)
    [rule_methods] = [
        {method for rule in app.url_map.iter_rules() if rule.rule == path for method in rule.methods or ()}
    ]
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "X" * 40} - rule_methods:
        # GET /api/user/login and the like are no users' cards: an id has digits only.
        expect(person.client.open(path, method=method), 405, 1009)
    assert state_of(app) == before


@pytest.mark.parametrize("path", IDS)
def test_a_bad_id_is_refused(app: Flask, person: Person, path: str) -> None:
    [field] = BODIES[path][0]
    before = state_of(app)
    for value in BAD_IDS:
        answer = post(person.client, path, {field: value})
        expect(answer, 422, 1005)
        assert list(answer.json["errors"]) == [field]
        if isinstance(value, str) and "\ud800" not in value:
            expect(person.client.post(path, data={field: value}), 422, 1005)
    assert state_of(app) == before


@pytest.mark.parametrize("path", IDS)
def test_an_id_of_nobody_is_not_found_or_refused(app: Flask, person: Person, path: str) -> None:
    [field] = BODIES[path][0]
    before = state_of(app)
    for value in ("1", str(2**63 - 1), 5, "0000000000000000005"):
        answer = post(person.client, path, {field: value})
        assert answer.json["code"] in (1007, 1009), value
    assert state_of(app) == before


@pytest.mark.parametrize(("method", "path"), ID_PATHS)
def test_a_bad_id_in_a_path_is_a_path_that_does_not_exist(app: Flask, person: Person, method: str, path: str) -> None:
    before = state_of(app)
    for value in ("0", "-1", "x", "5.0", "５", "%EF%BC%95", "1e3", "%00", "5%00", "%FF", "%ED%A0%80", "..%2f5", "5;x"):
        expect(person.client.open(path.format(value), method=method), 404, 1009)
    for value in (str(2**63), str(2**64 + 5), "9" * 19, "9" * 20, "9" * 5000, str(2**63 - 1), "1"):
        expect(person.client.open(path.format(value), method=method), 404, 1009)
    assert state_of(app) == before


@pytest.mark.parametrize(("path", "field"), QUERIES)
def test_a_bad_number_in_a_query_is_refused(app: Flask, person: Person, path: str, field: str) -> None:
    before = state_of(app)
    for value in (
        *("", "x", "-1", "1.5", "1e3", "0x1", "１", "1 ", "+1", "\x00", "1_0", "NaN", "null", "true"),
        *(str(2**31), str(2**63), str(2**64), "9" * 5000),
    ):
        answer = person.get(path, **{field: value})
        expect(answer, 422, 1005)
        assert list(answer.json["errors"]) == [field]
    assert state_of(app) == before


@pytest.mark.parametrize("field", ["page", "per_page"])
@pytest.mark.parametrize("path", ["/api/social/friends", "/api/social/liked_me"])
def test_a_page_out_of_range_is_refused_or_empty(person: Person, path: str, field: str) -> None:
    expect(person.get(path, **{field: 0}), 422, 1005)
    expect(person.get(path, **{field: 100_001}), 422, 1005)
    beyond = person.get(path, page=100_000, per_page=100).json["data"]
    assert beyond["items"] == []
    assert (beyond["total"], beyond["pages"], beyond["has_next"]) == (0, 0, False)


@pytest.mark.parametrize("path", sorted({path for path, _ in QUERIES} | {"/api/user/verify"}))
def test_an_unknown_or_repeated_query_field_is_refused(app: Flask, person: Person, path: str) -> None:
    before = state_of(app)
    expect(person.client.get(f"{path}?x=1"), 422, 1005)
    field = {"/api/user/verify": "phonenum", "/api/social/users": "group_num"}.get(path, "page")
    expect(person.client.get(f"{path}?{field}=1&{field}=1"), 422, 1005)
    for raw in ("%FF", "%ED%A0%80", "%00", "%"):
        expect(person.client.get(f"{path}?{field}={raw}"), 422, 1005)
    assert state_of(app) == before


@pytest.mark.parametrize("path", ["/api/vip/orders"])
def test_an_order_takes_whole_numbers_in_range_alone(app: Flask, person: Person, path: str) -> None:
    before = state_of(app)
    for field in ("level", "months"):
        for value in (0, -1, 101, 2**31, 2**63, 10**30, True, "1.0", "x", "１", None, 1.0, "", [1]):
            answer = post(person.client, path, {"level": 1, "months": 1} | {field: value})
            expect(answer, 422, 1005)
    expect(post(person.client, path, {"level": 4, "months": 1}), 422, 1005)
    assert state_of(app) == before


def test_a_code_of_any_characters_is_a_wrong_code(client: FlaskClient, people: People) -> None:
    client.post("/api/user/verify", json={"phonenum": "13800138000"})
    code = people.sent_code()
    for guess in ("\ud800", "\x00" * 6, "😀", f"{code}0", code[:5], f"{code}x"):
        client.post("/api/user/verify", json={"phonenum": "13800138000"})
        answer = post(client, "/api/user/login", {"phonenum": "13800138000", "vcode": guess})
        assert (answer.status_code, answer.json["code"]) == (400, 1000), guess
    assert post(client, "/api/user/login", {"phonenum": "13800138000", "vcode": "1" * 65}).json["code"] == 1005


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b'{"order_id": 5}',
        b"\xff\xfe",
        b"[" * 20_000,
        b'{"order_id": "5", "payment_id": "x", "amount_cents": 1, "currency": "CNY"}',
    ],
)
@pytest.mark.parametrize("signature", [None, "", "x", "0" * 64, "\xff\xfe", "signed"])
def test_a_payment_notice_that_proves_nothing_is_refused(
    app: Flask, client: FlaskClient, body: bytes, signature: str | None
) -> None:
    before = state_of(app)
    if signature == "signed":
        signature = app.extensions["payment"].sign(body)
    headers = {"X-Signature": signature} if signature is not None else {}
    answer = client.post("/api/vip/payments/sandbox/callback", data=body, headers=headers)
    assert answer.status_code in (400, 403)
    assert answer.json["code"] == 1014
    assert state_of(app) == before


@pytest.mark.parametrize("provider", ["none", "cashier", "x" * 5000, "%00", "%FF"])
def test_a_payment_provider_that_is_not_in_use_is_not_found(client: FlaskClient, provider: str) -> None:
    expect(client.post(f"/api/vip/payments/{provider}/callback", json={}), 404, 1009)


@pytest.mark.parametrize(
    "path",
    [
        "/portraits/male/0.svg",
        "/portraits/male/x.svg",
        "/portraits/neither/5.svg",
        "/portraits/male/" + "9" * 5000 + ".svg",
        "/assets/../routes.py",
        "/assets/%00",
        "/docs/assets/..%2f..%2fsetup.py",
        "/docs/assets/" + "x" * 5000,
        "//evil.example",
        "/%00",
        "/%FF",
    ],
)
def test_an_odd_path_is_not_found(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 308)
    if answer.status_code == 404:
        expect(answer, 404, 1009)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil example"},
        {"Host": ""},
        {"Host": "[::1"},
        {"Content-Length": "-1"},
        {"Content-Length": "x"},
        {"Content-Type": "application/json; charset=nonsense"},
        {"Content-Type": "multipart/form-data; boundary="},
        {"Accept": "\xff"},
        {"If-None-Match": '"' * 500},
        {"Range": "bytes=0-0,1-1,2-2"},
        {"Cookie": "=;=;swiper_session"},
        {"X-Forwarded-For": "x" * 5000},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_odd_headers_break_nothing(client: FlaskClient, headers: dict[str, str]) -> None:
    environ = {
        f"HTTP_{name.upper().replace('-', '_')}".replace("HTTP_CONTENT", "CONTENT"): value
        for name, value in headers.items()
    }
    for path, method in (("/api/vip/levels", "GET"), ("/api/user/login", "POST"), ("/", "GET")):
        answer = client.open(path, method=method, environ_overrides=environ)
        assert answer.status_code in (200, 304, 400, 404, 422), answer.get_data(as_text=True)


def random_value(pick: random.Random, depth: int = 0) -> Any:
    """Any JSON value, with a liking for those that break things."""
    kinds: list[Any] = [
        *(None, True, False, 0, -1, 1.5, 2**63, -(2**63), 10**40, "", "5", "\x00", "\ud800", "长" * 50, "13800138000"),
        *(float("nan"), float("inf"), "'; DROP TABLE users; --", "%s%n", "${7*7}", "../..", "1990-01-01", "male"),
    ]
    if depth < 3 and pick.random() < 0.3:
        return [random_value(pick, depth + 1) for _ in range(pick.randrange(4))]
    if depth < 3 and pick.random() < 0.2:
        return {str(pick.choice(kinds)): random_value(pick, depth + 1) for _ in range(pick.randrange(4))}
    return pick.choice(kinds)


@pytest.mark.parametrize("path", BODIES)
def test_random_json_never_breaks_anything(person: Person, people: People, path: str) -> None:
    pick = random.Random(path)
    names = [*BODIES[path][0], "nickname", "birthday", "sex", "min_distance", "x", "\ud800"]
    for _ in range(60):
        body = {pick.choice(names): random_value(pick) for _ in range(pick.randrange(1, 4))}
        answer = post(people.client_of(person.id), path, body)
        assert answer.status_code < 500, body
        assert answer.json["code"] != 1500
