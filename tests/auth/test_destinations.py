"""Which numbers codes are sent to."""

from collections.abc import Callable

import pytest
from flask import Flask

from config.settings import Settings
from swiper.auth.codes import issue_code
from swiper.auth.destinations import find_country
from swiper.errors import ParamError
from swiper.extensions import redis
from tests.factories import People

pytestmark = pytest.mark.usefixtures("app")

ADDRESS = "203.0.113.1"
NO_COUNTRY, NO_KIND = "Codes are not sent to this country.", "Codes are not sent to this kind of number."
REFUSED = {
    "Hong Kong": ("+85251234567", NO_COUNTRY),
    "the United States": ("+12024561111", NO_COUNTRY),
    "Iridium": ("+881612345678", NO_COUNTRY),
    "Inmarsat": ("+870773111632", NO_COUNTRY),
    "a satellite of the mainland": ("+8613490000000", NO_KIND),
    "Tiantong": ("+8617400000000", NO_KIND),
    "a British personal number": ("+447012345678", NO_KIND),
    "an American personal number": ("+15002345678", NO_KIND),
    "premium": ("+19005551234", "Not a valid phone number."),
    "British premium": ("+449098790000", "Not a valid phone number."),
    "shared cost": ("+448431234567", "Not a valid phone number."),
    "toll-free": ("+18005551234", "Not a valid phone number."),
    "voice over IP": ("+88213300655", "Not a valid phone number."),
    "universal personal": ("+878101234567890", "Not a valid phone number."),
}


@pytest.mark.parametrize(("phone", "reason"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.usefixtures("context")
def test_what_is_not_sent_to_is_refused_at_the_number_and_costs_nothing(phone: str, reason: str) -> None:
    with pytest.raises(ParamError) as refusal:
        issue_code(phone, ADDRESS)
    assert refusal.value.errors == {"phonenum": [reason]}
    assert redis.client.keys("{p:*") + redis.client.keys("sms:*") == []


def test_an_operator_names_further_countries(make_app: Callable[..., Flask]) -> None:
    app = make_app(sms_countries=["HK", "GB"])
    with app.app_context():
        assert find_country("+85251234567") == "HK"
        assert find_country("+8613800138000") == "CN"
        # Guernsey and Britain share +44, the United States and Jamaica +1.
        for phone in ("+447781123456", "+12024561111", "+18765551234"):
            with pytest.raises(ParamError):
                find_country(phone)


def test_the_home_region_follows_its_setting(make_app: Callable[..., Flask]) -> None:
    with make_app(default_region="HK").app_context():
        assert find_country("+85251234567") == "HK"
        with pytest.raises(ParamError):
            find_country("+8613800138000")


def test_somebody_abroad_logs_in_where_the_country_is_named(make_app: Callable[..., Flask]) -> None:
    people = People(make_app(sms_countries=["HK"]))
    assert people.log_in("+852 5123 4567").phone == "+85251234567"


@pytest.mark.parametrize("value", ["XX", "CN,Hongkong", "001"])
def test_a_country_that_is_none_stops_the_start(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMS_COUNTRIES", value)
    with pytest.raises(ValueError, match="names no country"):
        Settings(_env_file=None)
