"""Payment notices: signed, idempotent, and about exactly the order that was made."""

import functools
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from swiper.extensions import db
from swiper.signals import vip_changed
from swiper.vip.levels import vip_status_of
from swiper.vip.memberships import add_months
from swiper.vip.models import Order
from swiper.vip.payments.cashier import CashierProvider
from tests.factories import Clock, Person, at_once
from tests.rotation import rotation_of
from tests.vip.test_orders import order, states

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)


def notice(number: Any, amount: Any = 3000, **changes: Any) -> bytes:
    fields = {"order_id": number, "payment_id": "bank-1", "amount_cents": amount, "currency": "CNY"}
    return json.dumps({name: value for name, value in (fields | changes).items() if value is not ...}).encode()


def send(app: Flask, body: bytes, provider: str = "sandbox", signature: str | None = None) -> Any:
    """The provider's own request: no login, a foreign server."""
    payment: CashierProvider = app.extensions["payment"]
    headers = {"X-Signature": payment.sign(body) if signature is None else signature}
    return app.test_client().post(f"/api/vip/payments/{provider}/callback", data=body, headers=headers)


def test_a_signed_notice_pays_the_order(man: Person, app: Flask) -> None:
    made = order(man)
    answer = send(app, notice(made["id"]))
    assert (answer.status_code, answer.json) == (200, {"code": 0, "data": {"state": "paid"}})
    with app.app_context():
        assert vip_status_of(man.id).level.level == 2
        assert db.session.scalars(select(Order.payment_id)).one() == "bank-1"


def test_one_notice_sent_twenty_times_at_once_grants_once(
    man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, NOON)
    body = notice(order(man)["id"])
    told: list[int] = []

    def note(_: Any, uid: int) -> None:
        told.append(uid)

    with vip_changed.connected_to(note):
        answers = at_once([functools.partial(send, app, body)] * 20)
        answers.append(send(app, body))
    assert {(answer.status_code, answer.json["data"]["state"]) for answer in answers} == {(200, "paid")}
    assert set(told) == {man.id}
    with app.app_context():
        assert vip_status_of(man.id).expires_at == add_months(NOON, 3)


def test_a_granted_level_is_known_although_its_process_died_before_telling(
    man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = notice(order(man)["id"])
    assert man.get("/api/vip/me").json["data"]["level"] == 0
    with monkeypatch.context() as killed:
        # As when the process is killed between its commit and what follows it.
        killed.setattr("swiper.db.transactions._run_consequences", lambda consequences: None)
        assert send(app, body).status_code == 200
    assert man.get("/api/vip/me").json["data"]["level"] == 2


def test_a_second_payment_of_one_order_grants_nothing_and_asks_for_a_refund(
    man: Person, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    number = order(man)["id"]
    send(app, notice(number))
    with app.app_context():
        before = vip_status_of(man.id)
    assert send(app, notice(number, payment_id="bank-2")).json["data"] == {"state": "paid"}
    with app.app_context():
        assert vip_status_of(man.id) == before
    assert [record.levelname for record in caplog.records if "refund" in record.message] == ["ERROR"]


@pytest.mark.parametrize("fault", [{"amount_cents": 1}, {"currency": "USD"}, {"order_id": "1"}])
def test_a_proven_payment_that_fits_nothing_is_left_for_an_operator_to_see(
    man: Person, app: Flask, caplog: pytest.LogCaptureFixture, fault: dict[str, Any]
) -> None:
    assert send(app, notice(order(man)["id"], **fault)).status_code == 400
    assert [record.levelname for record in caplog.records if "bank-1" in record.message] == ["ERROR"]


def test_a_wrong_signature_is_refused_before_anything_is_read(man: Person, app: Flask) -> None:
    body = notice(order(man)["id"])
    right = app.extensions["payment"].sign(body)
    for signature in ("", "0" * 64, right[:-1], right + "0", "é", f"sha256={right}"):
        answer = send(app, body, signature=signature)
        assert (answer.status_code, answer.json["code"]) == (403, 1014)
    assert send(app, body + b" ", signature=right).status_code == 403
    assert send(app, b"no json", signature=right).status_code == 403
    unsigned = app.test_client().post("/api/vip/payments/sandbox/callback", data=body)
    assert unsigned.status_code == 403
    assert states(app) == ["pending"]


def test_a_notice_of_the_sandbox_from_before_a_change_of_the_key_is_accepted(
    man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate, body = rotation_of(app, monkeypatch), notice(order(man)["id"])
    signature = app.extensions["payment"].sign(body)
    rotate(False)
    assert send(app, body, signature=signature).status_code == 403
    rotate(True)
    assert app.extensions["payment"].sign(body) != signature
    assert send(app, body, signature=signature).status_code == 200


def test_a_signature_in_capital_letters_is_right(man: Person, app: Flask) -> None:
    body = notice(order(man)["id"])
    assert send(app, body, signature=app.extensions["payment"].sign(body).upper()).status_code == 200


def test_another_amount_currency_or_order_is_refused(man: Person, app: Flask) -> None:
    number = order(man)["id"]
    for body in (
        notice(number, 2999),
        notice(number, 3001),
        notice(number, 0),
        notice(number, -3000),
        notice(number, currency="USD"),
        notice(number, currency="cny"),
        notice(str(int(number) + 1)),
    ):
        answer = send(app, body)
        assert (answer.status_code, answer.json["code"]) == (400, 1014)
    assert states(app) == ["pending"]


def test_an_order_of_another_provider_is_not_there(man: Person, app: Flask) -> None:
    number = order(man)["id"]
    with app.app_context():
        db.session.execute(update(Order).values(provider="cashier"))
        db.session.commit()
    assert send(app, notice(number)).status_code == 400
    assert man.get(f"/api/vip/orders/{number}").json["data"]["payment"] is None
    assert states(app) == ["pending"]


@pytest.mark.parametrize("provider", ["cashier", "none", "paypal"])
def test_a_provider_that_is_not_in_use_has_no_callback(provider: str, man: Person, app: Flask) -> None:
    answer = send(app, notice(order(man)["id"]), provider=provider)
    assert (answer.status_code, answer.json["code"]) == (404, 1009)
    assert states(app) == ["pending"]


MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe",
    *(notice("1", **{name: ...}) for name in ("order_id", "payment_id", "amount_cents", "currency")),
    *(notice(number) for number in (1, None, "", "0", "-1", "1.0", "x", "１", " 1", str(2**63), "9" * 200)),
    *(notice("1", amount) for amount in ("3000", 3000.0, True, None)),
    *(notice("1", payment_id=payment) for payment in ("", "x" * 65, 7, None)),
    *(notice("1", currency=currency) for currency in (None, 1, ["CNY"])),
]


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: body[:60].decode("latin-1"))
def test_a_malformed_notice_is_refused_though_it_is_signed(body: bytes, app: Flask) -> None:
    answer = send(app, body)
    assert (answer.status_code, answer.json["code"]) == (400, 1014)


def test_a_page_of_another_site_does_not_stop_a_callback(man: Person, app: Flask) -> None:
    body = notice(order(man)["id"])
    headers = {"X-Signature": app.extensions["payment"].sign(body), "Origin": "https://bank.example"}
    assert app.test_client().post("/api/vip/payments/sandbox/callback", data=body, headers=headers).status_code == 200


def test_the_notice_is_refused_in_the_callers_language(app: Flask) -> None:
    answer = app.test_client().post(
        "/api/vip/payments/sandbox/callback", data=b"", headers={"Accept-Language": "zh-CN"}
    )
    assert answer.json["message"] == "签名错误。"
