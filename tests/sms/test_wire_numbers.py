"""No two numbers leave in the same form, on the wire of any provider that there is or will be.

Those from outside are held to it as well: `SMS_PROVIDERS=package.module:Class pytest tests/sms/test_wire_numbers.py`.
"""

import itertools
import os
import re
from typing import Any

import phonenumbers
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from phonenumbers.phonenumberutil import COUNTRY_CODE_TO_REGION_CODE
from sqlalchemy import func, select

from config.providers import SMS_PROVIDERS
from config.settings import Settings
from swiper.auth.models import SmsOutbox
from swiper.extensions import db
from swiper.sms import SmsError, SmsProvider, build_provider
from swiper.sms.base import read_wire

# As of every provider that may be added: all that it could want to be switched on for foreign numbers.
CONFIG = {name.upper(): "x" for name in Settings.model_fields} | {"SMS_TIMEOUT_SECONDS": 1.0, "CODE_TTL_SECONDS": 600}
KINDS = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.PERSONAL_NUMBER)
E164 = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
# +1 and ten digits, which without the plus are a mainland mobile number.
AMERICAN = st.from_regex(r"\+1[3-9][0-9]{9}", fullmatch=True)
MAINLAND = st.from_regex(r"\+861[3-9][0-9]{9}", fullmatch=True)


def examples() -> list[str]:
    """A number of each kind that can get an SMS, of each region."""
    regions = sorted(set(itertools.chain.from_iterable(COUNTRY_CODE_TO_REGION_CODE.values())) - {"001"})
    found = [phonenumbers.example_number_for_type(region, kind) for region in regions for kind in KINDS]
    return sorted({phonenumbers.format_number(number, PhoneNumberFormat.E164) for number in found if number})


def siblings(phone: str) -> set[str]:
    """The numbers that become the same digits once a plus, 00 or a country code is lost."""
    digits = phone[1:]
    made = {f"+86{digits}", f"+1{digits}", f"+00{digits}", f"+{digits[1:]}", f"+{digits[2:]}", f"+{digits[3:]}"}
    return {number for number in made | {phone} if re.fullmatch(r"\+[1-9][0-9]{6,14}", number)}


OUTSIDE = sorted({name for name in os.environ.get("SMS_PROVIDERS", "").split(",") if ":" in name})


@pytest.fixture(params=[*sorted(SMS_PROVIDERS), *OUTSIDE])
def provider(request: pytest.FixtureRequest) -> SmsProvider:
    return build_provider(request.param, CONFIG)


def wires(provider: SmsProvider, phones: set[str]) -> dict[str, str]:
    """By wire form: the number that it was made of. Fails where two numbers have the same."""
    found: dict[str, str] = {}
    for phone in sorted(phones):
        if provider.takes(phone):
            wire = provider.wire_number(phone)
            assert wire is not None
            assert found.setdefault(wire, phone) == phone, wire
    return found


def test_numbers_of_all_regions_and_their_siblings_leave_in_forms_of_their_own(provider: SmsProvider) -> None:
    phones = set().union(*map(siblings, examples()))
    assert len(wires(provider, phones)) > 0


@pytest.mark.parametrize("name", sorted(SMS_PROVIDERS))
def test_every_mainland_mobile_number_is_taken(name: str) -> None:
    provider = build_provider(name, CONFIG)
    for start in range(130, 200):
        phone = f"+86{start}{7656088:08d}"
        if phonenumbers.number_type(phonenumbers.parse(phone)) is PhoneNumberType.MOBILE:
            assert provider.takes(phone), phone


@settings(max_examples=300, deadline=None)
@given(first=st.one_of(E164, AMERICAN, MAINLAND), other=st.one_of(E164, AMERICAN, MAINLAND))
@example(first="+13017656088", other="+8613017656088")
@example(first="+8613800138000", other="+13800138000")
@example(first="+85261234567", other="+8685261234567")
def test_no_two_numbers_share_a_form(first: str, other: str) -> None:
    for name in [*SMS_PROVIDERS, *OUTSIDE]:
        provider = build_provider(name, CONFIG)
        wires(provider, siblings(first) | siblings(other))
        for phone in siblings(first):
            assert not provider.takes(phone) or read_wire(provider.wire_number(phone)) == phone


class Careless(SmsProvider):
    """As somebody may write it one day: the plus is dropped."""

    name = "careless"
    sent: list[str]

    def wire_number(self, phone: str) -> str | None:
        return phone.removeprefix("+86").removeprefix("+")

    def try_send(self, number: str, code: str) -> None:
        self.sent.append(number)


def test_a_provider_that_drops_the_plus_sends_to_nobody_else() -> None:
    provider = Careless(CONFIG)
    provider.sent = []
    for phone in ("+13017656088", "+85261234567", "+13017656088000"):
        with pytest.raises(SmsError):
            provider.send(phone, "864209")
    provider.send("+8613017656088", "864209")
    assert provider.sent == ["13017656088"]


@pytest.mark.parametrize("wire", ["", "+", "00", "+0138", "0001", "85261234567", "8613017656088", "12345678901", "+1x"])
def test_a_form_that_could_be_several_numbers_is_none(wire: str) -> None:
    assert read_wire(wire) is None


def real_providers(**config: Any) -> list[SmsProvider]:
    """Aliyun and Ronglian, with what `config` says of them."""
    return [build_provider(name, CONFIG | config) for name in ("aliyun", "ronglian")]


@pytest.fixture(autouse=True)
def countries(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the providers can do, codes go to these countries."""
    monkeypatch.setitem(app.config, "SMS_COUNTRIES", ["US", "HK", "MO", "TW"])


NO_ABROAD = {"ALIYUN_SMS_INTERNATIONAL_SIGN_NAME": "", "ALIYUN_SMS_INTERNATIONAL_TEMPLATE_CODE": ""}


@pytest.mark.parametrize("phone", ["+13017656088", "+85251234567", "+85366123456", "+886912345678"])
def test_a_number_that_no_provider_sends_to_is_refused_before_anything_is_counted(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, phone: str
) -> None:
    monkeypatch.setitem(app.extensions, "sms", real_providers(**NO_ABROAD))
    for _ in range(3):
        answer = client.post("/api/user/verify", json={"phonenum": phone})
        assert (answer.status_code, answer.json["code"]) == (422, 1005)
        assert answer.json["errors"] == {"phonenum": ["No provider sends to this country."]}
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(SmsOutbox)) == 0
        assert app.extensions["redis"].keys("{p:*}:*") == []
        assert app.extensions["redis"].keys("sms:*") == []


def test_one_provider_that_sends_abroad_is_enough(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.extensions, "sms", real_providers())
    answer = client.post("/api/user/verify", json={"phonenum": "+13017656088"})
    assert answer.status_code == 200
