"""Request bodies of every kind at every endpoint: what is not taken is refused, and nothing changes."""

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from gunicorn.http.errors import InvalidChunkSize
from PIL import Image
from werkzeug.test import TestResponse

from swiper.admin.unlocks import unlock
from swiper.http import hooks, responses
from swiper.http.bodies import FORM, JSON, MULTIPART
from tests.factories import People, Person, session_id_of
from tests.http.test_bad_input import state_of

_picture = io.BytesIO()
Image.new("RGB", (20, 20), "teal").save(_picture, "JPEG")
PICTURE = _picture.getvalue()
GBK = "日本".encode("gbk")
PART = f"{MULTIPART}; boundary=b"
# A body that is good JSON, so that nothing but its kind can be wrong.
OTHER_KINDS = [
    *("text/plain", "text/plain;charset=UTF-8", "application/octet-stream", "", "x", "text/json", "application/xml"),
    *("application/csp-report", "application/jsonx", "multipart/mixed; boundary=b", f"{JSON}, text/plain"),
]
EMPTY_TYPES = [None, "", "text/plain", "application/octet-stream", JSON, FORM, MULTIPART, PART, f"{JSON}; charset=gbk"]


def changing(app: Flask) -> list[tuple[str, str, str]]:
    """Endpoint, method and path of each view that changes something, but for those that read any body."""
    return [
        (rule.endpoint, method, re.sub("<[^>]+>", "5", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - hooks.SAFE_METHODS)
        if rule.endpoint != "vip.receive_payment" and not rule.endpoint.startswith("admin.")
    ]


@pytest.fixture
def me(people: People) -> Person:
    return people.add(vip=3)


def refused(answer: TestResponse, status: int, code: int, message: str = "") -> None:
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    assert message in answer.json["message"]


def parts(*each: bytes, boundary: bytes = b"b") -> bytes:
    """A multipart body of parts that are written out with their headers."""
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in each) + b"--" + boundary + b"--\r\n"


def field(name: bytes, value: bytes, rest: bytes = b"") -> bytes:
    return b'Content-Disposition: form-data; name="' + name + b'"' + rest + b"\r\n\r\n" + value


# --- kinds ---


def test_every_view_that_changes_something_refuses_a_body_of_another_kind(app: Flask, me: Person) -> None:
    found = changing(app)
    assert len(found) >= 15
    before = state_of(app)
    for endpoint, method, path in found:
        for kind in OTHER_KINDS:
            answer = me.client.open(path, method=method, data=b"{}", content_type=kind)
            assert (answer.status_code, answer.json["code"]) == (415, 1015), (endpoint, kind)
            assert answer.headers["Accept"]
    assert state_of(app) == before


def test_every_view_that_changes_something_refuses_what_it_cannot_decode(app: Flask, me: Person) -> None:
    before = state_of(app)
    for endpoint, method, path in changing(app):
        takes_files = getattr(app.view_functions[endpoint], "reads_files", False)
        sent: list[tuple[str, dict[str, str]]] = [
            (PART, {"Content-Encoding": "gzip"}),
            (PART, {"Content-Encoding": "br"}),
        ]
        if not takes_files:
            sent += [(JSON, {"Content-Encoding": "gzip"}), (FORM, {"Content-Encoding": "deflate"})]
            sent += [(f"{kind}; charset={name}", {}) for kind in (JSON, FORM) for name in ("gbk", "utf-16", "latin-1")]
        for kind, headers in sent:
            answer = me.client.open(path, method=method, data=b"{}", content_type=kind, headers=headers)
            assert (answer.status_code, answer.json["code"]) == (415, 1015), (endpoint, kind, headers)
    assert state_of(app) == before


def test_a_view_that_takes_nothing_refuses_fields(app: Flask, me: Person) -> None:
    before, seen = state_of(app), 0
    for endpoint, method, path in changing(app):
        view = app.view_functions[endpoint]
        if "body" in getattr(view, "_spec", {}):
            continue
        for answer in (
            me.client.open(path, method=method, json={"x": 1}),
            me.client.open(path, method=method, data={"x": "1"}),
            me.client.open(path, method=method, data=parts(field(b"x", b"1")), content_type=PART),
        ):
            refused(answer, 422, 1005)
            assert answer.json["errors"] == {"x": ["Unknown field."]}
        seen += 1
    assert seen >= 3
    assert state_of(app) == before


def test_an_empty_body_may_be_of_any_kind(app: Flask, me: Person) -> None:
    for kind in EMPTY_TYPES:
        for path in ("/api/user/profile/modify", "/api/social/like", "/api/user/photos"):
            answer = me.client.post(path, data=b"", content_type=kind)
            assert answer.status_code in (200, 400, 422), (kind, path)
            assert answer.json["code"] in (0, 1003, 1005), (kind, path)
        assert me.client.delete("/api/user/photos/5", data=b"", content_type=kind).status_code == 404


def test_json_without_its_type_rewinds_nobody_else(me: Person, people: People) -> None:
    first, second = people.woman(), people.woman()
    me.dislike(first)
    me.dislike(second)
    body = json.dumps({"sid": str(first.id)})
    for kind in ("text/plain", "application/octet-stream", None):
        refused(me.client.post("/api/social/rewind", data=body, content_type=kind), 415, 1015)
    assert me.post("/api/social/rewind", sid=second.id).status_code == 200


@pytest.mark.parametrize(
    "kind", [JSON, JSON.upper(), f"{JSON}; charset=UTF-8", f'{JSON};charset="utf-8"', "application/vnd.api+json"]
)
def test_json_is_taken_as_it_is_usually_announced(me: Person, kind: str) -> None:
    answer = me.client.post("/api/user/profile/modify", data='{"bio": "你好"}'.encode(), content_type=kind)
    assert answer.json["data"]["bio"] == "你好"


def test_the_desk_refuses_json(people: People, app: Flask) -> None:
    operator = people.add()
    app.test_cli_runner().invoke(args=["grant-operator", operator.phone])
    with app.app_context():
        unlock(operator.id, session_id_of(operator.client))
    answer = operator.client.post("/admin/bans", json={"network": "10.0.0.0/8"})
    assert answer.status_code == 415


def test_the_first_word_of_a_refusal_is_in_chinese_too(me: Person) -> None:
    for data, kind in ((b"{}", "text/plain"), (b"x", MULTIPART), (parts(field(b"bio", GBK)), PART)):
        answer = me.client.post(
            "/api/user/profile/modify", data=data, content_type=kind, headers={"Accept-Language": "zh"}
        )
        assert not answer.json["message"].isascii()


# --- multipart ---


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (parts(field(b"bio", b"x")), MULTIPART, "no boundary"),
        (parts(field(b"bio", b"x")), f"{MULTIPART}; boundary=", "no boundary"),
        (parts(field(b"bio", b"x")), f"{MULTIPART}; boundary=c", "its boundary is another one"),
        (parts(field(b"bio", b"x"))[:-6], PART, "cut off"),
        (parts(field(b"bio", b"x"))[:30], PART, "cut off"),
        (b"bio=x", PART, "malformed"),
        (parts(b"\r\nx"), PART, "malformed"),
        (parts(field(b"bio", b"x", b"; a=b" * 1000)), PART, "too long"),
        (parts(field(b'"\\' * 3000, b"x")), PART, "too long"),
        (parts(b"Content-Disposition: form-data\r\n\r\nx"), PART, "malformed"),
        (parts(field(b"bio", GBK)), PART, "UTF-8"),
        (parts(field(b"bio", "日本".encode("utf-16"))), PART, "UTF-8"),
        (parts(field(b"bio", b"a"), field(b"nickname", b"\xff")), PART, "UTF-8"),
    ],
)
def test_a_multipart_form_that_cannot_be_read_is_refused_and_says_why(
    app: Flask, me: Person, body: bytes, kind: str, message: str
) -> None:
    before = state_of(app)
    for path in ("/api/user/profile/modify", "/api/user/logout", "/api/social/rewind", "/api/user/photos"):
        refused(me.client.post(path, data=body, content_type=kind), 415, 1015, message)
    assert state_of(app) == before


def test_a_multipart_form_in_utf_8_is_taken(me: Person) -> None:
    for rest in (b"", b"\r\nContent-Type: text/plain; charset=utf-8", b"\r\nContent-Type: text/plain; charset=gbk"):
        body = parts(field(b"bio", "你好 �".encode(), rest))
        answer = me.client.post("/api/user/profile/modify", data=body, content_type=PART)
        assert answer.json["data"]["bio"] == "你好 �"


@pytest.mark.parametrize(
    "rest",
    [
        b'; filename="' + "头像.jpg".encode("gbk") + b'"',
        b'; filename="' + "誠.jpg".encode("big5") + b'"',
        b'; filename="\xff\xfe\x00"',
        b'; filename=""',
        b"",
        b"\r\nContent-Type: image/jpeg",
        b"; filename*=gbk''%CD%B7.jpg",
    ],
    ids=["gbk", "big5", "bytes", "empty", "no name", "no name but a type", "extended"],
)
@pytest.mark.parametrize(("path", "name"), [("/api/user/avatar/upload", b"avatar"), ("/api/user/photos", b"photo")])
def test_a_picture_is_taken_whatever_its_part_is_called(me: Person, path: str, name: bytes, rest: bytes) -> None:
    answer = me.client.post(path, data=parts(field(name, PICTURE, rest)), content_type=PART)
    assert answer.status_code == 201, answer.text


def test_a_large_picture_without_a_file_name_is_not_called_too_large(me: Person) -> None:
    body = parts(field(b"photo", PICTURE + b"\x00" * 400_000))
    answer = me.client.post("/api/user/photos", data=body, content_type=PART)
    assert answer.status_code == 201, answer.text


# --- sizes ---


def chunked(client: FlaskClient, path: str, body: Any, kind: str) -> TestResponse:
    """As gunicorn hands on a body without a length."""
    source = body if hasattr(body, "read") else io.BytesIO(body)
    environ = {"wsgi.input": source, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    with client.application.test_request_context(path, method="POST", content_type=kind) as context:
        made = context.request.environ | environ
    made.pop("CONTENT_LENGTH", None)
    cookie = client.get_cookie("swiper_session")
    made["HTTP_COOKIE"] = f"swiper_session={cookie.value}" if cookie else ""
    return TestResponse(*run(client.application, made), request=context.request)  # type: ignore[arg-type]


def run(app: Flask, environ: dict[str, Any]) -> tuple[Iterator[bytes], str, Any]:
    told: list[Any] = []
    pieces = app.wsgi_app(environ, lambda status, headers, *_: told.extend([status, headers]))
    return pieces, *told  # type: ignore[return-value]


def test_a_chunked_body_beyond_the_limit_is_never_cut_off(app: Flask, me: Person) -> None:
    before = state_of(app)
    pad = hooks.SMALL_BODY_BYTES
    for path in ("/api/user/profile/modify", "/api/user/logout"):
        for body, kind in (
            (b'{"bio": "x"}' + b" " * pad, JSON),
            (b"bio=x&bio2=" + b"x" * pad, FORM),
            (b"bio=" + b"x" * (pad - 3), FORM),
            (parts(field(b"bio", b"x")) + b" " * pad, PART),
            (parts(field(b"bio", b"x"), field(b"x", b"x" * pad)), PART),
        ):
            refused(chunked(me.client, path, body, kind), 413, 1005, "too large")
    large = parts(field(b"photo", PICTURE + b"\x00" * (11 * 1024 * 1024), b'; filename="a"'))
    refused(chunked(me.client, "/api/user/photos", large, PART), 413, 1005, "too large")
    assert state_of(app) == before


def test_a_chunked_body_up_to_the_limit_is_taken(me: Person) -> None:
    body = b'{"bio": "x"}'
    for full in (body, body + b" " * (hooks.SMALL_BODY_BYTES - len(body))):
        assert chunked(me.client, "/api/user/profile/modify", full, JSON).json["data"]["bio"] == "x"
    assert chunked(me.client, "/api/user/profile/modify", b"", "text/plain").status_code == 200
    refused(chunked(me.client, "/api/user/profile/modify", b"{}", "text/plain"), 415, 1015)


class Broken(io.BytesIO):
    """A body that ends with an error of the server's or of the connection."""

    def __init__(self, error: Exception) -> None:
        super().__init__(b'{"bio": "x"}')
        self.error = error

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        if not piece:
            raise self.error
        return piece


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InvalidChunkSize(b"x"), "chunks"),
        (ConnectionResetError(), "ended early"),
        (TimeoutError(), "ended early"),
        (OSError(), "ended early"),
    ],
)
def test_a_body_that_breaks_off_is_the_client_s_fault(app: Flask, me: Person, error: Exception, message: str) -> None:
    before = state_of(app)
    for kind in (JSON, FORM, PART, "text/plain"):
        answer = chunked(me.client, "/api/user/profile/modify", Broken(error), kind)
        assert (answer.status_code, answer.json["code"]) in ((400, 1005), (415, 1015))
        assert message in answer.json["message"] or kind == "text/plain"
    assert state_of(app) == before


def test_a_body_shorter_than_announced_is_refused(app: Flask, me: Person) -> None:
    """A client that is cut off in the middle has not asked for what it has sent by then."""
    before = state_of(app)
    for body, kind in (
        (b'{"sid": "5"}', JSON),
        (b"sid=5", FORM),
        (b"all=true", FORM),
        (parts(field(b"all", b"1")), PART),
    ):
        for path in ("/api/social/like", "/api/user/logout", "/api/user/photos/5"):
            method = "DELETE" if path.endswith("/5") else "POST"
            for ends in ({}, {"wsgi.input_terminated": True}):
                environ = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body) + 7)} | ends
                answer = me.client.open(path, method=method, content_type=kind, environ_overrides=environ)
                refused(answer, 400, 1005, "ended early")
    assert state_of(app) == before


# --- fields ---


def flood(count: int) -> list[tuple[bytes, str]]:
    names = [f"field{number}" for number in range(count)]
    return [
        ("&".join(f"{name}=x" for name in names).encode(), FORM),
        (json.dumps(dict.fromkeys(names, 1)).encode(), JSON),
        (parts(*[field(name.encode(), b"x") for name in names]), PART),
    ]


@pytest.mark.parametrize("path", ["/api/user/login", "/api/user/profile/modify", "/api/user/logout"])
def test_more_than_64_fields_are_refused_unread(me: Person, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(responses, "translate", lambda text, language: said.append(text) or text)
    for body, kind in flood(65) + flood(700):
        said.clear()
        answer = me.client.post(path, data=body, content_type=kind)
        refused(answer, 422, 1005, "too many fields")
        assert "errors" not in answer.json
        assert len(said) == 1
    for body, kind in flood(64):
        said.clear()
        answer = me.client.post(path, data=body, content_type=kind)
        assert answer.status_code == 422
        unknown = [name for name in answer.json["errors"] if name.startswith("field")]
        assert len(unknown) == 10
        assert len(said) <= 13


def test_a_nested_object_of_many_names_is_refused_too(me: Person) -> None:
    for outer in ('{"bio": %s}', "[%s]", '{"a": {"b": [%s]}}'):
        body = outer % json.dumps(dict.fromkeys(map(str, range(65)), 1))
        refused(me.client.post("/api/user/profile/modify", data=body, content_type=JSON), 422, 1005, "too many")
    twice = "{" + ",".join(['"bio": "x"'] * 65) + "}"
    refused(me.client.post("/api/user/profile/modify", data=twice, content_type=JSON), 422, 1005, "too many")


@pytest.mark.parametrize(
    "path", ["/api/social/users", "/api/user/verify", "/", "/admin", "/no/such/route", "/api/vip/levels"]
)
def test_a_query_of_many_fields_is_refused_everywhere(me: Person, path: str) -> None:
    for query in ("&" * 64, "&".join(f"a{number}=1" for number in range(65)), "a=1&" * 500):
        refused(me.client.get(path, query_string=query), 422, 1005, "too many fields")


def test_a_long_name_is_cut_in_the_refusal(me: Person) -> None:
    answer = me.client.post("/api/user/login", json={"名" * 5000: 1})
    [name] = [name for name in answer.json["errors"] if name.startswith("名")]
    assert name == "名" * 64 + "…"


def test_a_text_beyond_all_lengths_is_refused_before_it_is_normalised(
    me: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Marks that stand in the wrong order cost the square of their number."""
    text = "a" + "\u0315\u0300" * 7_000
    answer = me.post("/api/user/profile/modify", bio=text, nickname=text)
    assert answer.json["errors"] == {"bio": ["Wrong length."], "nickname": ["Wrong length."]}
    padded = me.post("/api/user/profile/modify", bio=" " * 400 + "x" + " " * 400)
    assert padded.json["data"]["bio"] == "x"
