"""Proofs of work: asked for while a budget runs hot, and good for one request of one number from one network."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import altcha
import pytest
from flask import Flask
from flask.testing import FlaskClient

from swiper.auth import proof_of_work
from swiper.extensions import redis
from tests.factories import People

pytestmark = pytest.mark.usefixtures("app")

PHONE = "13800138000"
ADDRESS = "203.0.113.1"


def ask(client: FlaskClient, phone: str = PHONE, address: str = ADDRESS, **body: str) -> Any:
    return client.post("/api/user/verify", json={"phonenum": phone} | body, environ_base={"REMOTE_ADDR": address})


def solve(challenge: dict[str, Any]) -> str:
    known = altcha.Challenge.from_dict(challenge)
    solution = altcha.solve_challenge(known)
    assert solution is not None
    return altcha.Payload(known, solution).to_base64()


def changed(proof: str, **parameters: Any) -> str:
    payload = json.loads(base64.b64decode(proof))
    payload["challenge"]["parameters"] |= parameters
    return base64.b64encode(json.dumps(payload).encode()).decode()


@pytest.fixture
def hot(make_app: Callable[..., Flask]) -> FlaskClient:
    """A stranger on a site that asks everybody for a proof."""
    app = make_app(proof_of_work_percent=0, proof_of_work_tries=200)
    with app.app_context():
        for key in ("sms:all", "sms:sent:0"):
            redis.client.set(key, 1, ex=3600)
    return app.test_client()


def test_a_calm_site_asks_for_nothing(client: FlaskClient) -> None:
    assert ask(client).json["code"] == 0


def test_a_budget_that_is_half_used_asks_for_a_proof(make_app: Callable[..., Flask]) -> None:
    app = make_app(sms_per_ip_per_day=4, proof_of_work_tries=200)
    codes = [ask(app.test_client(), str(13_800_000_000 + number)).json["code"] for number in range(5)]
    assert codes == [0, 0, 0, 1016, 1016]
    # Elsewhere nothing is hot.
    assert ask(app.test_client(), PHONE, "198.51.100.1").json["code"] == 0


def test_a_solved_challenge_sends_the_code(hot: FlaskClient) -> None:
    answer = ask(hot)
    assert (answer.status_code, answer.json["code"]) == (403, 1016)
    assert ask(hot, altcha=solve(answer.json["data"])).json["data"]["delivery"] == "sent"


def test_forms_and_the_first_clients_get_may_carry_the_proof(hot: FlaskClient) -> None:
    peer: Any = {"environ_base": {"REMOTE_ADDR": ADDRESS}}
    for number, how in enumerate(("data", "query_string")):
        phone = str(13_900_000_000 + number)
        method = "GET" if how == "query_string" else "POST"
        refused = hot.open("/api/user/verify", method=method, **{how: {"phonenum": phone}}, **peer)
        assert refused.json["code"] == 1016
        proof = {"phonenum": phone, "altcha": solve(refused.json["data"])}
        assert hot.open("/api/user/verify", method=method, **{how: proof}, **peer).json["code"] == 0


def test_being_asked_costs_nothing(hot: FlaskClient) -> None:
    for _ in range(3):
        assert ask(hot).json["code"] == 1016
    with hot.application.app_context():
        counted = {key: int(redis.client.get(key)) for key in redis.client.keys("sms:*")}
        assert redis.client.keys("{p:*") == []
    assert {key: count for key, count in counted.items() if count} == {b"sms:all": 1, b"sms:sent:0": 1}


def test_a_proof_counts_once(hot: FlaskClient) -> None:
    proof = solve(ask(hot).json["data"])
    assert ask(hot, altcha=proof).json["code"] == 0
    with hot.application.app_context():
        redis.client.delete(*redis.client.keys("{p:*"))
    assert ask(hot, altcha=proof).json["code"] == 1016


def test_a_proof_of_a_request_that_was_refused_may_be_used_again(hot: FlaskClient) -> None:
    assert ask(hot, altcha=solve(ask(hot).json["data"])).json["code"] == 0
    proof = solve(ask(hot).json["data"])
    assert ask(hot, altcha=proof).json["code"] == 1006
    with hot.application.app_context():
        redis.client.delete(*redis.client.keys("{p:*}:lock"))
    assert ask(hot, altcha=proof).json["code"] == 0


def test_a_proof_serves_one_number_and_one_network(hot: FlaskClient) -> None:
    proof = solve(ask(hot).json["data"])
    assert ask(hot, "13900139000", altcha=proof).json["code"] == 1016
    assert ask(hot, PHONE, "198.51.100.1", altcha=proof).json["code"] == 1016
    assert ask(hot, altcha=proof).json["code"] == 0


def test_a_proof_ends(hot: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    proof = solve(ask(hot).json["data"])
    moment = time.time() + proof_of_work.LIFE_SECONDS + 2
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: moment)
        assert ask(hot, altcha=proof).json["code"] == 1016


def test_a_challenge_that_was_made_easier_is_none_of_ours(hot: FlaskClient) -> None:
    proof = solve(ask(hot).json["data"])
    for change in ({"keyPrefix": ""}, {"expiresAt": 2**40}, {"cost": 10**9}, {"data": {}}, {"algorithm": "SCRYPT"}):
        assert ask(hot, altcha=changed(proof, **change)).json["code"] == 1016
    assert ask(hot, altcha=proof).json["code"] == 0


HOSTILE = ["x", "e30=", "W10=", base64.b64encode(b"[" * 1000).decode(), "9" * 2000, "\x00", "é", "/" * 2048]


@pytest.mark.parametrize("proof", HOSTILE)
def test_nonsense_is_no_proof(hot: FlaskClient, proof: str) -> None:
    assert ask(hot, altcha=proof).json["code"] == 1016


def test_the_key_serves_this_use_alone(app: Flask) -> None:
    with app.app_context():
        assert app.config["SECRET_KEY"] not in proof_of_work._secrets()[0]
        [one, two] = [proof_of_work.create_challenge(PHONE, ADDRESS) for _ in "12"]
    assert PHONE not in json.dumps(one)
    assert one["parameters"]["nonce"] != two["parameters"]["nonce"]


def test_a_device_that_the_number_knows_needs_no_proof(app: Flask, hot: FlaskClient) -> None:
    people = People(hot.application)
    assert ask(hot, altcha=solve(ask(hot).json["data"])).json["code"] == 0
    login = {"phonenum": PHONE, "vcode": people.sent_code()}
    assert hot.post("/api/user/login", json=login).status_code == 200
    with app.app_context():
        redis.client.delete(*redis.client.keys("{p:*}:lock"))
    assert ask(hot).json["code"] == 0
    assert ask(hot, "13900139000").json["code"] == 1016
