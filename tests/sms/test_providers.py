"""The SMS adapters against a local server that answers as the providers' APIs do."""

import base64
import hashlib
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from darabonba.core import DaraCore
from flask import Flask

from config.settings import ConfigurationError
from swiper import sms
from swiper.sms import SmsAwayError, init_app, send_sms
from swiper.sms.aliyun import AliyunProvider
from swiper.sms.base import SmsError, SmsProvider
from swiper.sms.ronglian import RonglianProvider
from tests.fake_server import Answer, FakeServer, refused_address

PHONE, NUMBER, CODE = "+8613912345678", "13912345678", "864209"
SECRET, TOKEN = "aliyun-key-secret", "ronglian-auth-token"

# https://help.aliyun.com/document_detail/419273.html and the docstring of `SmsSDK.sendMessage`.
ALIYUN_OK = {"Code": "OK", "Message": "OK", "BizId": "9006197469364984400", "RequestId": "F655A8D5"}
ALIYUN_LIMIT = {"Code": "isv.BUSINESS_LIMIT_CONTROL", "Message": f"{NUMBER} had {CODE}", "RequestId": "F655A8D5"}
ALIYUN_BAD_KEY = {"Code": "InvalidAccessKeyId.NotFound", "Message": "Specified access key is not found."}
RONGLIAN_OK = {"statusCode": "000000", "templateSMS": {"dateCreated": "20130201155306", "smsMessageSid": "ff80"}}
RONGLIAN_REFUSAL = {"statusCode": "160038", "statusMsg": f"{NUMBER} had {CODE}"}


def make_config(address: str, **changes: Any) -> dict[str, Any]:
    """The settings of both providers, with `address` (host and port) in place of theirs."""
    return {
        "SMS_TIMEOUT_SECONDS": 2.0,
        "CODE_TTL_SECONDS": 600,
        "ALIYUN_ACCESS_KEY_ID": "aliyun-key-id",
        "ALIYUN_ACCESS_KEY_SECRET": SECRET,
        "ALIYUN_SMS_SIGN_NAME": "心动",
        "ALIYUN_SMS_TEMPLATE_CODE": "SMS_123",
        "ALIYUN_SMS_INTERNATIONAL_SIGN_NAME": "Swiper",
        "ALIYUN_SMS_INTERNATIONAL_TEMPLATE_CODE": "SMS_456",
        "ALIYUN_SMS_ENDPOINT": address,
        "ALIYUN_SMS_PROTOCOL": "HTTP",
        "RONGLIAN_ACCOUNT_SID": "account-sid",
        "RONGLIAN_AUTH_TOKEN": TOKEN,
        "RONGLIAN_APP_ID": "app-id",
        "RONGLIAN_TEMPLATE_ID": "42",
        "RONGLIAN_BASE_URL": f"http://{address}",
        **changes,
    }


@pytest.fixture(autouse=True)
def direct_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No proxy of the machine stands between a test and its server, and the SDK's pool ends with the test."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    yield
    for session in DaraCore._sessions.values():
        session.close()
    DaraCore._sessions.clear()


@pytest.fixture(autouse=True)
def nothing_leaks(
    direct_connections: None, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Whatever a test does: neither number, code nor credentials reach any output or any logger, at any level."""
    caplog.set_level(logging.DEBUG)
    yield
    written = capfd.readouterr()
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    logged = "\n".join(logging.Formatter().format(record) for record in records)
    for secret in (NUMBER, CODE, SECRET, TOKEN):
        assert secret not in written.out + written.err + logged


def test_aliyun_receives_number_code_template_and_signature() -> None:
    with FakeServer(Answer(body=ALIYUN_OK)) as server:
        AliyunProvider(make_config(server.address)).send(PHONE, CODE)
    (request,) = server.requests
    assert request.headers["x-acs-action"] == "SendSms"
    assert request.query["PhoneNumbers"] == NUMBER
    assert json.loads(request.query["TemplateParam"]) == {"code": CODE}
    assert (request.query["SignName"], request.query["TemplateCode"]) == ("心动", "SMS_123")
    assert "Credential=aliyun-key-id" in request.headers["authorization"]
    assert "Signature=" in request.headers["authorization"]


@pytest.mark.parametrize(
    ("phone", "number"),
    [
        ("+13017656088", "0013017656088"),
        ("+85261234567", "0085261234567"),
        ("+85366123456", "0085366123456"),
        ("+886912345678", "00886912345678"),
        ("+8616502530000", "16502530000"),
        ("+16502530000", "0016502530000"),
    ],
)
def test_aliyun_gets_a_number_in_a_form_that_no_other_has(phone: str, number: str) -> None:
    with FakeServer(Answer(body=ALIYUN_OK)) as server:
        AliyunProvider(make_config(server.address)).send(phone, CODE)
    query = server.requests[0].query
    is_foreign = not phone.startswith("+86")
    assert query["PhoneNumbers"] == number
    assert (query["SignName"], query["TemplateCode"]) == (("Swiper", "SMS_456") if is_foreign else ("心动", "SMS_123"))


@pytest.mark.parametrize("missing", ["ALIYUN_SMS_INTERNATIONAL_SIGN_NAME", "ALIYUN_SMS_INTERNATIONAL_TEMPLATE_CODE"])
@pytest.mark.parametrize("phone", ["+13017656088", "+85261234567", "+85366123456", "+886912345678"])
def test_aliyun_refuses_foreign_numbers_without_sign_and_template_for_them(missing: str, phone: str) -> None:
    with FakeServer(Answer(body=ALIYUN_OK)) as server, pytest.raises(SmsError, match="does not send to this number"):
        AliyunProvider(make_config(server.address, **{missing: ""})).send(phone, CODE)
    assert server.requests == []


def test_aliyun_builds_its_client_once_and_not_at_start() -> None:
    with FakeServer(Answer(body=ALIYUN_OK)) as server:
        provider = AliyunProvider(make_config(server.address))
        assert "client" not in vars(provider)
        provider.send(PHONE, CODE)
        client = provider.client
        provider.send(PHONE, CODE)
        assert provider.client is client


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(body=ALIYUN_LIMIT), "isv.BUSINESS_LIMIT_CONTROL"),
        (Answer(status=404, body=ALIYUN_BAD_KEY), "InvalidAccessKeyId.NotFound"),
        (Answer(status=503, body={"Code": "ServiceUnavailable"}), "ServiceUnavailable"),
    ],
)
def test_aliyun_refusal_carries_its_own_code(answer: Answer, expected: str) -> None:
    with FakeServer(answer) as server, pytest.raises(SmsError) as caught:
        AliyunProvider(make_config(server.address)).send(PHONE, CODE)
    assert str(caught.value) == expected
    assert len(server.requests) == 1


def test_aliyun_address_stays_out_of_the_sdk_debug_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", "sdk")
    with FakeServer(Answer(body=ALIYUN_OK)) as server:
        AliyunProvider(make_config(server.address)).send(PHONE, CODE)
    assert len(server.requests) == 1


def test_ronglian_receives_number_code_minutes_and_signature() -> None:
    with FakeServer(Answer(body=RONGLIAN_OK)) as server:
        RonglianProvider(make_config(server.address)).send(PHONE, CODE)
    (request,) = server.requests
    account, timestamp = base64.b64decode(request.headers["authorization"]).decode().split(":")
    signature = hashlib.md5(f"account-sid{TOKEN}{timestamp}".encode()).hexdigest().upper()
    assert (request.method, request.path) == ("POST", "/2013-12-26/Accounts/account-sid/SMS/TemplateSMS")
    assert account == "account-sid"
    assert request.query["sig"] == signature
    assert json.loads(request.body) == {"to": NUMBER, "appId": "app-id", "templateId": "42", "datas": [CODE, "10"]}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(body=RONGLIAN_REFUSAL), "160038"),
        (Answer(status=500), "500"),
        (Answer(status=307, headers={"Location": "http://127.0.0.1:9/elsewhere"}), "307"),
        (Answer(body=b"<html>"), "JSONDecodeError"),
    ],
)
def test_ronglian_refusal_carries_its_own_code(answer: Answer, expected: str) -> None:
    with FakeServer(answer) as server, pytest.raises(SmsError) as caught:
        RonglianProvider(make_config(server.address)).send(PHONE, CODE)
    assert str(caught.value) == expected
    assert len(server.requests) == 1


@pytest.mark.parametrize("phone", ["+85261234567", "+886912345678", "+13805551234"])
def test_ronglian_refuses_numbers_from_outside_the_mainland(phone: str) -> None:
    with FakeServer(Answer(body=RONGLIAN_OK)) as server, pytest.raises(SmsError, match="does not send to this number"):
        RonglianProvider(make_config(server.address)).send(phone, CODE)
    assert server.requests == []


@pytest.mark.parametrize(("provider", "body"), [(AliyunProvider, ALIYUN_OK), (RonglianProvider, RONGLIAN_OK)])
def test_slow_provider_fails_at_the_time_out_and_is_asked_once(
    provider: type[SmsProvider], body: dict[str, Any]
) -> None:
    started = time.monotonic()
    with FakeServer(Answer(body=body, delay_seconds=30)) as server, pytest.raises(SmsError):
        provider(make_config(server.address, SMS_TIMEOUT_SECONDS=0.3)).send(PHONE, CODE)
    assert 0.25 < time.monotonic() - started < 1.8
    assert len(server.requests) == 1


@pytest.mark.parametrize("provider", [AliyunProvider, RonglianProvider])
def test_unreachable_provider_fails_without_a_word(
    provider: type[SmsProvider], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SmsError):
        provider(make_config(refused_address())).send(PHONE, CODE)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("provider", [AliyunProvider, RonglianProvider])
def test_silence_is_told_apart_from_a_refusal(provider: type[SmsProvider]) -> None:
    refusal = ALIYUN_LIMIT if provider is AliyunProvider else RONGLIAN_REFUSAL
    with FakeServer(Answer(body=refusal)) as server, pytest.raises(SmsError) as refused:
        provider(make_config(server.address)).send(PHONE, CODE)
    assert not isinstance(refused.value, SmsAwayError)
    with FakeServer(Answer(status=503, body=b"busy")) as server, pytest.raises(SmsError) as busy:
        provider(make_config(server.address)).send(PHONE, CODE)
    assert not isinstance(busy.value, SmsAwayError)
    with FakeServer(Answer(delay_seconds=30)) as server, pytest.raises(SmsAwayError):
        provider(make_config(server.address, SMS_TIMEOUT_SECONDS=0.2)).send(PHONE, CODE)
    with pytest.raises(SmsAwayError):
        provider(make_config(refused_address())).send(PHONE, CODE)


def make_app(aliyun: str, ronglian: str, **settings: Any) -> Flask:
    """An app with both providers, Aliyun first, at these addresses."""
    app = Flask(__name__)
    changes = {"RONGLIAN_BASE_URL": f"http://{ronglian}", "SMS_PROVIDERS": ["aliyun", "ronglian"]} | settings
    app.config.update(make_config(aliyun, **changes))
    init_app(app)
    return app


def test_second_provider_serves_when_the_first_fails() -> None:
    with FakeServer(Answer(body=ALIYUN_LIMIT)) as aliyun, FakeServer(Answer(body=RONGLIAN_OK)) as ronglian:
        with make_app(aliyun.address, ronglian.address).app_context():
            assert send_sms(PHONE, CODE) == "ronglian"
        assert json.loads(ronglian.requests[0].body)["to"] == NUMBER
        assert len(aliyun.requests) == 1


def test_a_provider_that_does_not_send_to_a_country_is_passed_over() -> None:
    with FakeServer(Answer(body=RONGLIAN_OK)) as ronglian, FakeServer(Answer(body=ALIYUN_OK)) as aliyun:
        app = make_app(aliyun.address, ronglian.address, SMS_PROVIDERS=["ronglian", "aliyun"])
        with app.app_context():
            assert send_sms("+13017656088", CODE) == "aliyun"
            assert send_sms(PHONE, CODE) == "ronglian"
        assert (len(ronglian.requests), len(aliyun.requests)) == (1, 1)


def test_where_no_provider_sends_to_a_country_the_failure_says_so() -> None:
    app = make_app(refused_address(), refused_address(), SMS_PROVIDERS=["ronglian"])
    with app.app_context(), pytest.raises(SmsError, match="no provider sends to this number"):
        send_sms("+13017656088", CODE)


def test_second_provider_is_not_asked_when_the_first_serves() -> None:
    with FakeServer(Answer(body=ALIYUN_OK)) as aliyun, FakeServer(Answer(body=RONGLIAN_OK)) as ronglian:
        with make_app(aliyun.address, ronglian.address).app_context():
            assert send_sms(PHONE, CODE) == "aliyun"
        assert ronglian.requests == []


def test_failure_of_all_names_each_of_them() -> None:
    with (
        FakeServer(Answer(body=ALIYUN_LIMIT)) as aliyun,
        make_app(aliyun.address, refused_address()).app_context(),
        pytest.raises(SmsError) as caught,
    ):
        send_sms(PHONE, CODE)
    assert str(caught.value) == "aliyun: isv.BUSINESS_LIMIT_CONTROL; ronglian: 172001"


def test_a_provider_that_hangs_delays_one_message_and_not_each() -> None:
    hanging, answer = Answer(delay_seconds=30), Answer(body=RONGLIAN_OK)
    with FakeServer(hanging) as aliyun, FakeServer(answer) as ronglian:
        with make_app(aliyun.address, ronglian.address, SMS_TIMEOUT_SECONDS=0.3).app_context():
            assert [send_sms(PHONE, CODE) for _ in range(4)] == ["ronglian"] * 4
        assert (len(aliyun.requests), len(ronglian.requests)) == (1, 4)


def test_a_provider_that_refuses_a_message_is_asked_for_the_next_one() -> None:
    with (
        FakeServer(Answer(body=ALIYUN_LIMIT), Answer(body=ALIYUN_OK)) as aliyun,
        FakeServer(Answer(body=RONGLIAN_OK)) as ronglian,
        make_app(aliyun.address, ronglian.address).app_context(),
    ):
        assert [send_sms(PHONE, CODE) for _ in range(2)] == ["ronglian", "aliyun"]


def test_a_provider_that_was_away_is_still_asked_before_a_message_is_given_up() -> None:
    with (
        FakeServer(Answer(delay_seconds=30), Answer(body=ALIYUN_OK)) as aliyun,
        make_app(aliyun.address, refused_address(), SMS_TIMEOUT_SECONDS=0.3).app_context(),
    ):
        with pytest.raises(SmsError, match=r"aliyun: .*; ronglian: 172001"):
            send_sms(PHONE, CODE)
        assert send_sms(PHONE, CODE) == "aliyun"


def test_one_message_alone_tries_whether_a_provider_is_back() -> None:
    with FakeServer(Answer(body=ALIYUN_OK)) as aliyun, FakeServer(Answer(body=RONGLIAN_OK)) as ronglian:
        app = make_app(aliyun.address, ronglian.address)
        first, second = app.extensions["sms"]
        with app.app_context():
            first.away_until = time.monotonic() + 60
            assert send_sms(PHONE, CODE) == "ronglian"
            first.away_until = time.monotonic() - 1
            # As when this many threads begin to send at the same moment.
            orders = [sms._in_order() for _ in range(3)]
            assert orders == [[first, second], [second, first], [second, first]]
            first.away_until = time.monotonic() - 1
            assert [send_sms(PHONE, CODE) for _ in range(2)] == ["aliyun"] * 2
            assert sms._in_order() == [first, second] == sms._in_order()


def test_unknown_provider_stops_the_start() -> None:
    app = Flask(__name__)
    app.config.update(make_config("127.0.0.1:9", SMS_PROVIDERS=["pigeon"]))
    with pytest.raises(ConfigurationError, match="pigeon"):
        init_app(app)
