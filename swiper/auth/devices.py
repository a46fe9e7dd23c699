"""Devices: how a login is described to its owner, and the cookie of a browser that has logged in to a number before.

With that cookie a browser may ask for codes of its number when strangers may not. The cookie contains no number, and
gives no access by itself.
"""

import hmac
import ipaddress
import re
import time
from collections.abc import Callable

from swiper.bans.addresses import parse_address
from swiper.encryption import keyed_digests

# A User-Agent may have any length and content. Only its beginning is read.
MAX_USER_AGENT = 400
# The first match counts, since most browsers also name the browsers that they are based on.
APPS = {
    "MicroMessenger": "WeChat",
    "AlipayClient": "Alipay",
    "QQBrowser": "QQ Browser",
    "UCBrowser": "UC Browser",
    "HuaweiBrowser": "Huawei Browser",
    "MiuiBrowser": "Mi Browser",
    "SamsungBrowser": "Samsung Internet",
    "EdgA": "Edge",
    "EdgiOS": "Edge",
    "Edg": "Edge",
    "OPR": "Opera",
    "YaBrowser": "Yandex Browser",
    "FxiOS": "Firefox",
    "Firefox": "Firefox",
    "CriOS": "Chrome",
    "HeadlessChrome": "Chrome",
    "Chromium": "Chromium",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
SYSTEMS = {
    "HarmonyOS": "HarmonyOS",
    "OpenHarmony": "HarmonyOS",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "CrOS": "ChromeOS",
    "Macintosh": "Mac",
    "Linux": "Linux",
}
APP = re.compile(rf"\b({'|'.join(APPS)})/")
SYSTEM = re.compile(rf"\b({'|'.join(SYSTEMS)})\b")
# A program that is no browser begins with its own name, such as `okhttp/4.12.0`.
PROGRAM = re.compile(r"([A-Za-z][A-Za-z0-9._-]{0,29})/")
VALID_SECONDS = 180 * 86_400
# A login does not replace a mark that is younger than this.
FRESH_SECONDS = 30 * 86_400
# The cookie has at most this many numbers of one browser.
MOST_NUMBERS = 3
MARK = re.compile(r"([0-9]{1,12})\.([0-9a-f]{32})", re.ASCII)


def describe_device(user_agent: str) -> str:
    """Return a User-Agent as `Chrome on Android`, `Chrome` or `Android`; empty if it names none of them.

    A client can send any User-Agent, so this helps an owner to recognise a login, but proves nothing.
    """
    text = user_agent[:MAX_USER_AGENT]
    app, system = _first(APPS, APP.findall(text)), _first(SYSTEMS, SYSTEM.findall(text))
    if not app and not text.startswith("Mozilla/"):
        found = PROGRAM.match(text)
        app = found[1] if found else ""
    return f"{app} on {system}" if app and system else app or system


def _first(names: dict[str, str], found: list[str]) -> str:
    """Return the name of the first key of `names` that is in `found`."""
    return next((name for word, name in names.items() if word in found), "")


def shorten_address(remote_addr: str) -> str:
    """Return the network of an address, /24 of IPv4 or /48 of IPv6, which shows the provider but not the household."""
    address = parse_address(remote_addr)
    if address is None:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(ipaddress.IPv4Network((int(address), 24), strict=False))
    return str(ipaddress.IPv6Network((int(address), 48), strict=False))


def is_known_device(devices: str, phone: str) -> bool:
    """Return True if the cookie `devices` proves that its browser has logged in to `phone`."""
    return _age_of(devices, lambda mark: _is_of(mark, phone)) < VALID_SECONDS


def remember_device(devices: str, phone: str) -> str | None:
    """Return the new cookie after a login to `phone`, or None if the cookie needs no change."""
    # A mark that a former SECRET_KEY has signed is replaced.
    if _age_of(devices, lambda mark: _is_current(mark, phone)) < FRESH_SECONDS:
        return None
    moment = int(time.time())
    others = [mark for mark in devices.split("~") if MARK.fullmatch(mark) and not _is_of(mark, phone)]
    return "~".join([f"{moment}.{_signatures(phone, moment)[0]}", *others[: MOST_NUMBERS - 1]])


def _age_of(devices: str, is_wanted: Callable[[str], bool]) -> float:
    ages = [time.time() - int(mark.partition(".")[0]) for mark in _marks(devices) if is_wanted(mark)]
    return min(ages, default=float("inf"))


def _marks(devices: str) -> list[str]:
    return [mark for mark in devices.split("~", MOST_NUMBERS)[:MOST_NUMBERS] if MARK.fullmatch(mark)]


def _is_of(mark: str, phone: str) -> bool:
    moment, _, signature = mark.partition(".")
    return any(hmac.compare_digest(signature, each) for each in _signatures(phone, int(moment)))


def _is_current(mark: str, phone: str) -> bool:
    moment, _, signature = mark.partition(".")
    return hmac.compare_digest(signature, _signatures(phone, int(moment))[0])


def _signatures(phone: str, moment: int) -> list[str]:
    return [digest[:32] for digest in keyed_digests("device", f"{phone}:{moment}")]
