"""The cookie of a browser that has logged in to a number: it may ask for that number's codes when strangers may not.

It names no number, and opens nothing by itself.
"""

import hmac
import re
import time

from swiper.encryption import keyed_digest

VALID_SECONDS = 180 * 86_400
# A mark younger than this is kept at a login.
FRESH_SECONDS = 30 * 86_400
# The cookie remembers this many numbers of one browser.
MOST_NUMBERS = 3
MARK = re.compile(r"([0-9]{1,12})\.([0-9a-f]{32})", re.ASCII)


def is_known_device(devices: str, phone: str) -> bool:
    """True when the cookie `devices` shows that its browser has logged in to `phone`."""
    return _age_of(devices, phone) < VALID_SECONDS


def remember_device(devices: str, phone: str) -> str | None:
    """The cookie after a login to `phone`; None where it can stay as it is."""
    if _age_of(devices, phone) < FRESH_SECONDS:
        return None
    moment = int(time.time())
    others = [mark for mark in devices.split("~") if MARK.fullmatch(mark) and not _is_of(mark, phone)]
    return "~".join([f"{moment}.{_sign(phone, moment)}", *others[: MOST_NUMBERS - 1]])


def _age_of(devices: str, phone: str) -> float:
    ages = [time.time() - int(mark.partition(".")[0]) for mark in _marks(devices) if _is_of(mark, phone)]
    return min(ages, default=float("inf"))


def _marks(devices: str) -> list[str]:
    return [mark for mark in devices.split("~", MOST_NUMBERS)[:MOST_NUMBERS] if MARK.fullmatch(mark)]


def _is_of(mark: str, phone: str) -> bool:
    moment, _, signature = mark.partition(".")
    return hmac.compare_digest(signature, _sign(phone, int(moment)))


def _sign(phone: str, moment: int) -> str:
    return keyed_digest("device", f"{phone}:{moment}")[:32]
