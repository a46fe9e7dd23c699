"""Short descriptions of a login for its owner: the device by its User-Agent, the place by a shortened address."""

import ipaddress
import re

from swiper.bans.addresses import parse_address

# A User-Agent has any length and content; only its beginning is read.
MAX_USER_AGENT = 400
# The first one found counts: most browsers also name the browsers that they are based on.
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
# The name that a program which is no browser gives itself first, such as `okhttp/4.12.0`.
PROGRAM = re.compile(r"([A-Za-z][A-Za-z0-9._-]{0,29})/")


def describe_device(user_agent: str) -> str:
    """A User-Agent as `Chrome on Android`, `Chrome`, or `Android`; empty where it names neither.

    Browsers tell what they like, so this helps an owner to recognise a login and proves nothing.
    """
    text = user_agent[:MAX_USER_AGENT]
    app, system = _first(APPS, APP.findall(text)), _first(SYSTEMS, SYSTEM.findall(text))
    if not app and not text.startswith("Mozilla/"):
        found = PROGRAM.match(text)
        app = found[1] if found else ""
    return f"{app} on {system}" if app and system else app or system


def _first(names: dict[str, str], found: list[str]) -> str:
    """The name of the one of `found` that stands first in `names`."""
    return next((name for word, name in names.items() if word in found), "")


def shorten_address(remote_addr: str) -> str:
    """The network of an address, /24 of IPv4 or /48 of IPv6: it tells the provider and the region, not the house."""
    address = parse_address(remote_addr)
    if address is None:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(ipaddress.IPv4Network((int(address), 24), strict=False))
    return str(ipaddress.IPv6Network((int(address), 48), strict=False))
