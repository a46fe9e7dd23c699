"""The devices, languages and themes in which the pages are looked at."""

import itertools
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from config.settings import ROOT

MESSAGES = ROOT / "swiper/web/static/messages"
DEVICES: dict[str, dict[str, Any]] = {
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
    "desktop": {"viewport": {"width": 1280, "height": 800}},
}
LOCALES = {"zh": "zh-CN", "en": "en-US"}


@dataclass(frozen=True)
class Look:
    """How somebody looks at the pages."""

    device: str = "phone"
    language: str = "en"
    theme: str = "light"
    calm: bool = False

    def __str__(self) -> str:
        return f"{self.device}-{self.language}-{self.theme}"

    def options(self) -> dict[str, Any]:
        """What Playwright calls it."""
        return DEVICES[self.device] | {
            "locale": LOCALES[self.language],
            "color_scheme": self.theme,
            "timezone_id": "Asia/Shanghai",
            "reduced_motion": "reduce" if self.calm else "no-preference",
        }


EVERY_DEVICE_AND_LANGUAGE = [Look(device, language) for device, language in itertools.product(DEVICES, LOCALES)]
BOTH = [Look("phone", "zh"), Look("desktop", "en")]
EVERY_THEME = [Look(device, "zh", theme) for device, theme in itertools.product(DEVICES, ("light", "dark"))]
# Each device, language and theme together with each of the others, in four looks instead of eight; nothing moves.
EVERY_PAIR = [
    Look("phone", "zh", "light", calm=True),
    Look("phone", "en", "dark", calm=True),
    Look("desktop", "zh", "dark", calm=True),
    Look("desktop", "en", "light", calm=True),
]


@cache
def texts_of(language: str) -> dict[str, str]:
    """The catalogue that the pages use, so that a test finds a button in whatever language it is written."""
    texts: dict[str, str] = json.loads((MESSAGES / f"{language}.json").read_text(encoding="utf-8"))
    return texts
