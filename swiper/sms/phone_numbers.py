"""Phone numbers in the one form that all their spellings share, E.164."""

import re

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from swiper.characters import simplify
from swiper.errors import ParamError
from swiper.extensions import this_app

SENDABLE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.PERSONAL_NUMBER)
NUMBER = re.compile(r"(?P<before>[ ().\-]*)(?P<plus>\+?)(?P<after>[0-9 ().\-]+)")
# RFC 3966. Of its parameters, only a country code as context leaves no doubt about whose number this is.
TEL_URI = re.compile(r" *tel:(?://)?(?P<number>[^;]*)(?:;phone-context=[+ ](?P<context>[0-9.\-]+))?", re.IGNORECASE)


def parse_phone(text: str) -> str:
    """The E.164 form of a mobile number typed or pasted in any usual way; `DEFAULT_REGION` where it names no country.

    Raises ParamError for what is no mobile number, robots' numbers included, and for what can be two numbers.
    """
    numbers = {_e164(number): number for number in map(_valid_number, readings(text)) if number}
    if len(numbers) > 1:
        raise _refusal("This can be two numbers: send its plus as %2B, or write 00 and the country code.")
    for phone, number in numbers.items():
        if phonenumbers.number_type(number) in SENDABLE:
            return phone
    raise _refusal("Not a valid phone number.")


def readings(text: str) -> list[str]:
    """What may be meant by `text`, each as digits with or without a plus; empty for what is no number.

    A plus that a client did not escape arrives as a space: where a space stands before the digits, there are two.
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
    """The number of a `tel:` URI with its context before it; any other text, and a URI in doubt, as it is."""
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
    """The number that somebody typed, for the security log; nothing where it is none: it could be a code."""
    try:
        return {"phone": parse_phone(text)}
    except ParamError:
        return {}
