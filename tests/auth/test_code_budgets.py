"""Budgets of networks, countries and everybody, the reserve for numbers with an account, and the brake."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import altcha
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from swiper.auth.code_budgets import count_used
from swiper.auth.codes import deliver_code, purge_outbox, unsent_codes
from swiper.auth.login import redeem_code, restore_code
from swiper.auth.models import SmsOutbox
from swiper.clock import now
from swiper.extensions import db, redis
from tests.factories import People

pytestmark = pytest.mark.usefixtures("app")

OPEN = {"proof_of_work_percent": 100}


def number(index: int) -> str:
    return str(13_800_000_000 + index)


def ask(client: FlaskClient, phone: str, address: str = "203.0.113.1", **body: str) -> Any:
    return client.post("/api/user/verify", json={"phonenum": phone} | body, environ_base={"REMOTE_ADDR": address})


def counters(app: Flask) -> dict[str, int]:
    """What is not zero, under a short name."""
    with app.app_context():
        found = {key.decode(): int(redis.client.get(key)) for key in redis.client.keys("sms:*")}
    return {":".join(name.split(":")[:2]): count for name, count in found.items() if count}


def solve(challenge: dict[str, Any]) -> str:
    known = altcha.Challenge.from_dict(challenge)
    solution = altcha.solve_challenge(known)
    assert solution is not None
    return altcha.Payload(known, solution).to_base64()


@pytest.mark.parametrize(
    ("setting", "addresses"),
    [
        ("sms_per_net56_per_day", [f"2001:db8:1:{subnet:x}::1" for subnet in range(6)]),
        ("sms_per_net48_per_day", [f"2001:db8:1:{subnet:x}00::1" for subnet in range(6)]),
        ("sms_per_net24_per_day", [f"203.0.113.{host}" for host in range(6)]),
        ("sms_per_net24_per_day", [f"::ffff:203.0.113.{host}" for host in range(6)]),
    ],
)
def test_networks_have_budgets_of_their_own(make_app: Callable[..., Flask], setting: str, addresses: list[str]) -> None:
    app = make_app(**OPEN, **{setting: 3})
    codes = [ask(app.test_client(), number(index), address).json["code"] for index, address in enumerate(addresses)]
    assert codes == [0] * 3 + [1006] * 3
    assert ask(app.test_client(), number(9), "2001:db8:2::1").json["code"] == 0


def test_the_64s_of_one_56_cannot_use_up_what_everybody_has(make_app: Callable[..., Flask]) -> None:
    app = make_app(sms_global_per_day=40, sms_per_net56_per_day=10, **OPEN)
    codes = [
        ask(app.test_client(), number(index), f"2001:db8:0:{index % 256:x}::1").json["code"] for index in range(256)
    ]
    assert Counter(codes) == {0: 10, 1006: 246}
    assert counters(app)["sms:all"] == 10
    assert ask(app.test_client(), number(300), "198.51.100.1").json["code"] == 0


def test_a_refusal_by_a_wide_network_costs_the_narrow_one_nothing(make_app: Callable[..., Flask]) -> None:
    app = make_app(sms_per_net48_per_day=0)
    assert ask(app.test_client(), number(0), "2001:db8::1").json["code"] == 1006
    assert counters(app) == {}


def test_a_country_has_a_budget_of_its_own(make_app: Callable[..., Flask]) -> None:
    app = make_app(sms_countries=["HK", "MO"], sms_per_country_per_day=2, **OPEN)
    hongkong = [f"+85251234{index:03d}" for index in range(3)]
    assert [ask(app.test_client(), phone).json["code"] for phone in hongkong] == [0, 0, 1006]
    assert ask(app.test_client(), "+85366123456").json["code"] == 0
    # The home region is bound by everybody's budget alone.
    assert [ask(app.test_client(), number(index)).json["code"] for index in range(3)] == [0] * 3


def test_fresh_numbers_leave_a_reserve_to_those_with_an_account(make_app: Callable[..., Flask], people: People) -> None:
    members = [people.add() for _ in range(3)]
    app = make_app(sms_global_per_day=10, **OPEN)
    own = People(app)
    with app.app_context():
        redis.client.set("sms:all", 8, ex=3600)
    for index in range(20):
        assert ask(app.test_client(), number(1000 + index)).json["data"]["delivery"] == "accounts_only"
    assert not (app.config["INSTANCE"] / "sms-outbox.jsonl").exists() or not sent(app)
    for member in members[:2]:
        client = app.test_client()
        assert ask(client, member.phone).json["code"] == 0
        login = {"phonenum": member.phone, "vcode": own.sent_code()}
        assert client.post("/api/user/login", json=login).status_code == 200
    assert counters(app)["sms:all"] == 10
    assert ask(app.test_client(), members[2].phone).json["code"] == 1006
    assert ask(app.test_client(), number(2000)).json["code"] == 1006


def sent(app: Flask) -> list[str]:
    with app.app_context():
        for outbox_id in unsent_codes():
            deliver_code(outbox_id)
        db.session.remove()
    path = app.config["INSTANCE"] / "sms-outbox.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def test_whether_a_number_has_an_account_is_not_read_from_the_reserve(
    make_app: Callable[..., Flask], people: People
) -> None:
    """The same answers, the same limits, the same steps: a row that nobody sends stands for the one that is sent."""
    member = people.add()
    app = make_app(sms_global_per_day=10, **OPEN)
    seen = []
    for phone in (member.phone, number(1000)):
        with app.app_context():
            redis.client.set("sms:all", 8, ex=3600)
        client = app.test_client()
        first, second, third = ask(client, phone), ask(client, phone), ask(app.test_client(), phone, "198.51.100.1")
        shape = [
            {key: value for key, value in answer.json["data"].items() if key != "challenge"}
            for answer in (first, third)
        ]
        guess = client.post("/api/user/login", json={"phonenum": phone, "vcode": "000000"}).json
        seen.append((first.status_code, shape, second.json, guess))
    assert seen[0] == seen[1]
    with app.app_context():
        rows = {row.phone: row for row in db.session.scalars(select(SmsOutbox))}
        assert len(rows) == 2
        decoy = rows[f"+86{number(1000)}"]
        assert decoy.claimed_until == decoy.expires_at
        assert unsent_codes() == [rows[member.phone].id]
        assert deliver_code(decoy.id) is False


def test_rows_for_nobody_are_purged_with_their_time(make_app: Callable[..., Flask], app: Flask) -> None:
    hot = make_app(sms_global_per_day=10, **OPEN)
    with app.app_context():
        redis.client.set("sms:all", 8, ex=3600)
    ask(hot.test_client(), number(1))
    with app.app_context():
        row = db.session.scalars(select(SmsOutbox)).one()
        row.claimed_until = row.expires_at = now() - timedelta(seconds=1)
        db.session.commit()
        assert deliver_code(row.id) is False
        purge_outbox()
        assert db.session.scalars(select(SmsOutbox)).all() == []


def test_probing_for_accounts_spends_the_network_s_budget(make_app: Callable[..., Flask]) -> None:
    app = make_app(sms_global_per_day=10, sms_per_ip_per_day=3, **OPEN)
    with app.app_context():
        redis.client.set("sms:all", 8, ex=3600)
    assert [ask(app.test_client(), number(index)).json["code"] for index in range(5)] == [0, 0, 0, 1006, 1006]


@pytest.fixture
def braking(make_app: Callable[..., Flask]) -> Flask:
    """Ten codes of this hour were sent, and one was used."""
    app = make_app(sms_brake_codes=10, sms_brake_percent=20, sms_brake_per_minute=2, proof_of_work_tries=50, **OPEN)
    for index in range(10):
        assert ask(app.test_client(), number(index)).json["code"] == 0
    with app.app_context():
        count_used()
    return app


def test_codes_that_stay_unused_cost_strangers_a_proof_and_then_time(braking: Flask) -> None:
    answers = []
    for index in range(4):
        phone = number(100 + index)
        refused = ask(braking.test_client(), phone)
        assert refused.json["code"] == 1016
        answers.append(ask(braking.test_client(), phone, altcha=solve(refused.json["data"])))
    assert [answer.json["code"] for answer in answers] == [0, 0, 1006, 1006]
    assert int(answers[-1].headers["Retry-After"]) <= 60
    assert counters(braking)["sms:all"] == 12


def test_the_brake_is_released_when_codes_are_used(braking: Flask) -> None:
    assert ask(braking.test_client(), number(100)).json["code"] == 1016
    with braking.app_context():
        count_used()
    assert ask(braking.test_client(), number(100)).json["code"] == 0


def test_logins_count_as_codes_that_were_used(make_app: Callable[..., Flask]) -> None:
    app = make_app(sms_brake_codes=5, sms_brake_percent=100)
    people = People(app)
    for index in range(12):
        people.log_in(number(index))
    assert counters(app)["sms:used"] == 12


def test_the_brake_asks_for_a_harder_proof(braking: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def note(_phone: str, _network: str, hardness: int) -> dict[str, Any]:
        asked.append(hardness)
        return {}

    monkeypatch.setattr("swiper.auth.code_budgets.create_challenge", note)
    ask(braking.test_client(), number(100))
    assert asked == [4]


def test_a_code_that_is_given_back_was_not_used(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    ask(app.test_client(), number(1))
    phone = f"+86{number(1)}"
    with app.app_context():
        code = People(app).sent_code()
        rest_ms = redeem_code(phone, code)
        assert counters(app)["sms:used"] == 1
        restore_code(phone, code, rest_ms)
    assert "sms:used" not in counters(app)
