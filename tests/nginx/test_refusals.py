"""What nginx refuses by itself is an envelope in the language of the client."""

import json

import pytest

from swiper.http.hooks import SECURITY_HEADERS
from tests.nginx.fronts import Front, raw_answer
from tests.processes import Visitor

pytestmark = pytest.mark.services


HEAD = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
UNPARSABLE = {
    "a zero byte in the address": (b"GET /media/%00" + HEAD + b"\r\n", 400),
    "a zero byte elsewhere": (b"GET /%00" + HEAD + b"\r\n", 400),
    "an escape that is none": (b"GET /media/%zz" + HEAD + b"\r\n", 400),
    "a bare percent": (b"GET /%" + HEAD + b"\r\n", 400),
    "above the root": (b"GET /../../etc/passwd" + HEAD + b"\r\n", 400),
    "no address": (b"GET" + HEAD + b"\r\n", 400),
    "a control character": (b"GET /\x01" + HEAD + b"\r\n", 400),
    "a method that is none": (b"get /" + HEAD + b"\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "a host that is none": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "a length that is none": (b"POST /api/user/login" + HEAD + b"Content-Length: x\r\n\r\n", 400),
    "two lengths": (b"POST /api/user/login" + HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "an unknown coding": (b"POST /api/user/login" + HEAD + b"Transfer-Encoding: foo\r\n\r\n", 400),
    "a bad chunk": (b"POST /api/user/login" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "another version": (b"GET / HTTP/4.0\r\nHost: x\r\n\r\n", 400),
    "a long address": (b"GET /" + b"a" * 9000 + HEAD + b"\r\n", 414),
    "a long header": (b"GET /" + HEAD + b"X: " + b"a" * 9000 + b"\r\n\r\n", 431),
    "many headers": (b"GET /" + HEAD + b"X: a\r\n" * 9000 + b"\r\n", 431),
    "a long body": (b"POST /api/user/login" + HEAD + b"Content-Length: 999999\r\n\r\n", 413),
    "a change of a file": (b"POST /assets/tokens.css" + HEAD + b"Content-Length: 0\r\n\r\n", 405),
    "a folder": (b"GET /assets/" + HEAD + b"\r\n", 404),
    "our own address": (b"GET /_nginx/away" + HEAD + b"\r\n", 404),
}


@pytest.mark.parametrize(("request_bytes", "status"), UNPARSABLE.values(), ids=list(UNPARSABLE))
def test_whatever_nginx_refuses_is_an_envelope(front: Front, request_bytes: bytes, status: int) -> None:
    answer = raw_answer(front.port, request_bytes)
    body = json.loads(answer.body)  # type: ignore[attr-defined]
    assert (answer.status, body["data"]) == (status, None), body
    assert body["code"] == (1009 if status in (404, 405) else 1005)
    assert answer.headers["Content-Type"].startswith("application/json")
    for name in ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Permissions-Policy"):
        assert answer.headers.get_all(name) == [SECURITY_HEADERS[name]], name
    for name in ("X-Request-Id", "Content-Security-Policy", "Cross-Origin-Resource-Policy"):
        assert len(answer.headers.get_all(name) or []) == 1, name


@pytest.mark.parametrize(
    ("header", "is_chinese"),
    [("zh-CN,en;q=0.9", True), ("zh", True), ("de, zh", True), ("en-US,zh-CN;q=0.9", False), ("", False)],
)
def test_nginx_speaks_the_client_s_language(visitor: Visitor, header: str, is_chinese: bool) -> None:
    answer = visitor.get("/media/none", headers={"Accept-Language": header})
    assert answer.status_code == 404
    assert (not answer.json()["message"].isascii()) is is_chinese
