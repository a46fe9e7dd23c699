"""The document is valid OpenAPI 3.1, and every answer has the shape that it promises."""

import io
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from PIL import Image
from werkzeug.test import TestResponse

from swiper.clock import now
from swiper.vip.payments import current_provider
from swiper.vip.sales import add_sale
from tests.endpoints import plain_requests
from tests.factories import People

# These need a fresh code or end a session, so the test calls them last.
LAST = {"export", "export_by_post", "delete_account", "logout"}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_the_document_names_no_address_that_a_visitor_made_up(app: Flask) -> None:
    # It is made once and kept, so whoever asks first must not leave their Host in it.
    fresh = app.test_client().get("/openapi.json", headers={"Host": "evil.example"})
    assert "evil" not in fresh.text


def test_every_api_route_is_documented(app: Flask, document: dict[str, Any]) -> None:
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/api/"):
            continue
        path = re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            operation = document["paths"][path][method.lower()]
            assert operation["summary"]
            assert operation["operationId"] == rule.endpoint.rpartition(".")[2]


@pytest.mark.parametrize("is_on", [True, False])
def test_an_operation_that_a_setting_turns_off_is_not_in_the_document(
    make_app: Callable[..., Flask], is_on: bool
) -> None:
    document = make_app(verify_by_get=is_on).test_client().get("/openapi.json").json
    assert set(document["paths"]["/api/user/verify"]) == ({"get", "post"} if is_on else {"post"})


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))


class Checker:
    """Holds answers against the document and remembers which operations were seen succeeding."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.succeeded: set[str] = set()

    def check(self, path: str, answer: TestResponse) -> Any:
        operation = self.document["paths"][path][answer.request.method.lower()]
        documented = operation["responses"].get(str(answer.status_code))
        assert documented, f"{path} answered an undocumented {answer.status_code}: {answer.json}"
        schema = documented["content"]["application/json"]["schema"]
        validator = Draft202012Validator(schema | {"components": self.document["components"]})
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(answer.json)]
        assert not errors, f"{path}: {errors} in {answer.json}"
        if answer.status_code < 300:
            self.succeeded.add(operation["operationId"])
        return answer.json["data"]


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with every object schema closed, so that an undocumented field is a fault as well."""
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return document


def picture() -> Any:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(file, "JPEG")
    file.seek(0)
    return file, "picture.jpg"


def test_every_answer_has_the_documented_shape(app: Flask, people: People, document: dict[str, Any]) -> None:
    checker = Checker(closed(document))
    check = checker.check
    me = people.add(vip=3, only_match=False)
    others = [people.woman(only_match=False) for _ in range(4)]
    stranger = app.test_client()

    check("/api/user/verify", stranger.post("/api/user/verify", json={"phonenum": "13912345678"}))
    login = {"phonenum": "13912345678", "vcode": people.sent_code()}
    check("/api/user/login", stranger.post("/api/user/login", json=login))
    check("/api/user/verify", stranger.get("/api/user/verify?phonenum=13912345679"))
    check("/api/user/sessions", stranger.get("/api/user/sessions"))
    [own] = check("/api/user/sessions", me.get("/api/user/sessions"))["items"]
    check("/api/user/sessions/{session_id}", others[2].client.delete(f"/api/user/sessions/{own['id']}"))
    people.client_of(me.id)
    other = me.get("/api/user/sessions").json["data"]["items"][1]
    check("/api/user/sessions/{session_id}", me.client.delete(f"/api/user/sessions/{other['id']}"))
    check("/api/user/profile", me.get("/api/user/profile"))
    check("/api/user/profile", stranger.get("/api/user/profile"))
    check("/api/user/profile/modify", me.post("/api/user/profile/modify", bio="你好"))
    for name, path in (("avatar", "/api/user/avatar/upload"), ("photo", "/api/user/photos")):
        photo = check(path, me.client.post(path, data={name: picture()}))
    check("/api/user/profile", me.get("/api/user/profile"))
    check("/api/user/{user_id}", others[0].get(f"/api/user/{me.id}"))
    check("/api/user/photos/{photo_id}", me.client.delete(f"/api/user/photos/{photo['id']}"))

    check("/api/social/users", me.get("/api/social/users", group_num=0))
    check("/api/social/users", me.get("/api/social/users", group_num=9))
    others[0].like(me)
    check("/api/social/liked_me", me.get("/api/social/liked_me"))
    check("/api/social/liked_me/count", me.get("/api/social/liked_me/count"))
    assert check("/api/social/like", me.like(others[0]))["is_matched"]
    check("/api/social/superlike", me.superlike(others[1]))
    check("/api/social/dislike", me.dislike(others[2]))
    check("/api/social/rewind", me.post("/api/social/rewind"))
    check("/api/social/friends", me.get("/api/social/friends"))
    check("/api/social/hot", me.get("/api/social/hot"))
    check("/api/social/unfriend", me.post("/api/social/unfriend", sid=str(others[0].id)))

    check("/api/vip/levels", stranger.get("/api/vip/levels"))
    check("/api/vip/me", me.get("/api/vip/me"))
    order = check("/api/vip/orders", me.post("/api/vip/orders", level=1, months=2))
    check("/api/vip/orders/{order_id}", me.get(f"/api/vip/orders/{order['id']}"))
    checkout = "/api/vip/payments/sandbox/checkout/{order_id}"
    check(checkout, me.client.post(checkout.format(order_id=order["id"])))
    with app.app_context():
        headers, body = current_provider().pay(int(order["id"]), 1000, "CNY")
        sale = add_sale(
            "秒杀",
            level=1,
            months=1,
            price_cents=100,
            stock=1,
            starts_at=now() - timedelta(hours=1),
            ends_at=now() + timedelta(hours=1),
        )
    callback = "/api/vip/payments/sandbox/callback"
    check("/api/vip/payments/{provider}/callback", stranger.post(callback, data=body, headers=headers))
    check("/api/vip/sales", me.get("/api/vip/sales"))
    ticket = check("/api/vip/qbuy", me.post("/api/vip/qbuy", sale_id=str(sale.id)))
    check("/api/vip/qbuy/{ticket_id}", me.get(f"/api/vip/qbuy/{ticket['ticket']}"))

    # What the lines above do not call needs no preparation.
    known = {"sid": str(others[1].id)}
    for method, path, body in plain_requests(app).values():
        operation_id = document["paths"][path][method.lower()]["operationId"]
        if operation_id not in checker.succeeded | LAST:
            given = {name: known.get(name, value) for name, value in body.items()}
            check(path, me.client.open(path, method=method, json=given or None))

    check("/api/user/export", me.get("/api/user/export"))
    check("/api/user/export", me.export())
    check("/api/user/export", others[2].post("/api/user/export", vcode=others[2].fresh_code()))
    check("/api/user/logout", others[3].post("/api/user/logout"))
    check("/api/user/account", me.delete_account())

    documented = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    assert documented == checker.succeeded


def test_the_offline_page_loads_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/docs").text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(assets) == 3
    for asset in assets:
        assert asset.startswith("/")
        answer = client.get(asset)
        assert answer.status_code == 200
        answer.close()
