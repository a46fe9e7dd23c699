"""Parses phone numbers in all usual spellings into E.164."""

import re

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from swiper.characters import simplify
from swiper.errors import ParamError
from swiper.extensions import this_app

SENDABLE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.PERSONAL_NUMBER)
NUMBER = re.compile(r"(?P<before>[ ().\-]*)(?P<plus>\+?)(?P<after>[0-9 ().\-]+)")
# RFC 3966. Of its parameters, only a country code as context makes the number unambiguous.
TEL_URI = re.compile(r" *tel:(?://)?(?P<number>[^;]*)(?:;phone-context=[+ ](?P<context>[0-9.\-]+))?", re.IGNORECASE)


def parse_phone(text: str) -> str:
    """Return the E.164 form of a mobile number in any usual spelling. Without a country, it is of `DEFAULT_REGION`.

    Raises ParamError for anything else, such as robots' numbers, and for a text that can mean two numbers.
    """
    numbers = {_e164(number): number for number in map(_valid_number, readings(text)) if number}
    if len(numbers) > 1:
        raise _refusal("This can be two numbers: send its plus as %2B, or write 00 and the country code.")
    for phone, number in numbers.items():
        if phonenumbers.number_type(number) in SENDABLE:
            return phone
    raise _refusal("Not a valid phone number.")


def readings(text: str) -> list[str]:
    """Return the possible meanings of `text` as digits with or without a plus; none if it is no number.

    A plus that a client did not escape arrives as a space. So a text with a space before its digits has two meanings.
    """
    found = NUMBER.fullmatch(_without_scheme(simplify(text)))
    if found is None:
        return []
    digits = re.sub(r"[^0-9]", "", found["after"])
    if not 5 <= len(digits) <= 32:
        return []
    if found["plus"]:
        return ["+" + digits]
    is_plus_lost = " " in found["before"] or " " in found["after"][: found["after"].index(digits[0])]
    return [digits, "+" + digits] if is_plus_lost else [digits]


def _without_scheme(text: str) -> str:
    """Return the number of a `tel:` URI after its context. Return other text and an ambiguous URI unchanged."""
    found = TEL_URI.fullmatch(text)
    if found is None:
        return text
    if found["context"] is None:
        return found["number"]
    return text if "+" in found["number"] else f"+{found['context']}{found['number']}"


def _valid_number(reading: str) -> PhoneNumber | None:
    try:
        number = phonenumbers.parse(reading, this_app().config["DEFAULT_REGION"])
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_valid_number(number) else None


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _refusal(reason: str) -> ParamError:
    return ParamError(errors={"phonenum": [reason]})


def describe_number(text: str) -> dict[str, str]:
    """Return the typed number for the security log, or nothing if it is no number, since it could be a code."""
    try:
        return {"phone": parse_phone(text)}
    except ParamError:
        return {}
