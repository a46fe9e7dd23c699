"""Phone numbers, parsed to E.164 before anything is keyed by them."""

import hmac
import re
import unicodedata

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from swiper.errors import ParamError
from swiper.extensions import this_app

SENDABLE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.PERSONAL_NUMBER)
PLAIN = re.compile(r"\+?[0-9 ().\-]{5,32}", re.ASCII)


def parse_phone(text: str) -> str:
    """The E.164 form of a mobile number typed in any usual way; `DEFAULT_REGION` where it names no country.

    Raises ParamError for what is no mobile number, robots' numbers included.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    if not PLAIN.fullmatch(plain):
        raise _not_valid()
    try:
        number = phonenumbers.parse(plain, this_app().config["DEFAULT_REGION"])
    except phonenumbers.NumberParseException as error:
        raise _not_valid() from error
    # A number that is not valid has no type.
    if phonenumbers.number_type(number) not in SENDABLE:
        raise _not_valid()
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _not_valid() -> ParamError:
    return ParamError(errors={"phonenum": ["Not a valid phone number."]})


def keyed_digest(purpose: str, text: str) -> str:
    """A digest of `text` that cannot be reversed without the application's key."""
    key = str(this_app().config["SECRET_KEY"]).encode()
    # JSON admits half of a surrogate pair, which plain UTF-8 has no bytes for.
    return hmac.digest(key, f"{purpose}:{text}".encode(errors="surrogatepass"), "sha256").hex()
