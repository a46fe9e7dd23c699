"""Decides which numbers codes are sent to: mobile numbers of the countries that the operator has listed."""

import functools

import phonenumbers
from phonenumbers import PhoneNumberType

from swiper.errors import ParamError
from swiper.extensions import this_app

# Without personal numbers (+44 70, +1 500), which cost as much as premium numbers.
CHEAP = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
# Satellite networks in a country's numbering plan, which libphonenumber counts as mobile (MIIT's plan: 134 9 and
# 174 00 to 174 05). Networks with their own country code (+870, +881) belong to no country.
SATELLITES = ("+861349", "+8617400", "+8617401", "+8617402", "+8617403", "+8617404", "+8617405")


def find_country(phone: str) -> str:
    """Return the region (ISO 3166) of a number (E.164). Raises ParamError for one that codes are not sent to."""
    region, kind = _read(phone)
    if kind not in CHEAP or phone.startswith(SATELLITES):
        raise ParamError(errors={"phonenum": ["Codes are not sent to this kind of number."]})
    config = this_app().config
    if region not in (config["DEFAULT_REGION"], *config["SMS_COUNTRIES"]):
        raise ParamError(errors={"phonenum": ["Codes are not sent to this country."]})
    return region


@functools.lru_cache(maxsize=1_000)
def _read(phone: str) -> tuple[str, int]:
    number = phonenumbers.parse(phone)
    return str(phonenumbers.region_code_for_number(number)), phonenumbers.number_type(number)
