"""What is read of logins without the schemas is what the schemas read."""

from typing import Any

import pytest
from flask import Flask, request

from swiper.auth import routes, schemas
from swiper.http.schemas import load_json_or_form

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
USUAL_PHONES = [
    (JSON, b'{"phonenum": "13800138000"}'),
    (JSON, b'{"phonenum":"+8613800138000"}'),
    (FORM, b"phonenum=13800138000"),
    (FORM, b"phonenum=%2B8613800138000"),
]
USUAL_LOGINS = [
    (JSON, b'{"phonenum": "13800138000", "vcode": "012345"}'),
    (JSON, b'{"phonenum":"+8613800138000","vcode":"012345"}'),
    (FORM, b"phonenum=13800138000&vcode=012345"),
    (FORM, b"phonenum=%2B8613800138000&vcode=012345"),
]
ODD = [
    *((JSON, body) for body in (b"", b"{}", b'["13800138000"]', b'{"phonenum": 13800138000}', b'{"phonenum": ""}')),
    *((JSON, body) for body in (b'{"phonenum": "138 0013 8000"}', b'{"phonenum": "13800138000", "x": "1"}')),
    *((JSON, body) for body in (b' {"phonenum": "13800138000"}', b'{"phonenum": "13800138000"}\n')),
    *((JSON, body) for body in (b'{"phonenum": "13800138000", "phonenum": "1"}', b'{"phonenum": "\\u0031"}')),
    *((FORM, body) for body in (b"phonenum=+8613800138000", b"phonenum=%2b8613800138000", b"phonenum=138 0013 8000")),
    *((FORM, body) for body in (b"phonenum=13800138000&x=1", b"phonenum=13800138000&phonenum=1", b"phonenum=", b"")),
    *((kind, USUAL_PHONES[0][1]) for kind in ("text/plain", "application/json; charset=utf-8", FORM)),
]


def context(app: Flask, kind: str, body: bytes) -> Any:
    return app.test_request_context("/", method="POST", content_type=kind, data=body)


@pytest.mark.parametrize(("kind", "body"), [*USUAL_PHONES, *USUAL_LOGINS])
def test_what_clients_usually_send_is_read_as_by_the_schema(app: Flask, kind: str, body: bytes) -> None:
    is_login = b"vcode" in body
    with context(app, kind, body):
        quickly = routes._quick_login() if is_login else routes._quick_phone()
        schema = schemas.LoginIn() if is_login else schemas.PhoneIn()
        assert quickly == schema.load(load_json_or_form(request, schema))


@pytest.mark.parametrize(("kind", "body"), ODD)
def test_everything_else_is_left_to_the_schemas(app: Flask, kind: str, body: bytes) -> None:
    with context(app, kind, body):
        assert routes._quick_phone() is None
        assert routes._quick_login() is None
