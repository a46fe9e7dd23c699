"""No page is wider than its window: nothing is cut off, and nothing moves sideways under the finger."""

from collections.abc import Callable

import pytest

from tests.browser.guests import Guest
from tests.browser.looks import LOCALES, Look
from tests.browser.site import Site

pytestmark = pytest.mark.browser

SCREENS = ("deck", "likes", "hot", "friends", "vip", "me")
# The narrowest phones in use, and the usual one.
WIDTHS = (320, 390)
OVERHANG = "() => document.documentElement.scrollWidth - innerWidth"
# What stands in the page's column keeps the same distance from the right edge as from the left one.
CROOKED = """() => [...document.querySelectorAll('main .panel')]
  .map((panel) => panel.getBoundingClientRect())
  .filter(({left, right}) => Math.abs(left - (innerWidth - right)) > 2)
  .map(({left, right}) => [left, innerWidth - right])"""


@pytest.mark.parametrize("language", LOCALES)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_screen_is_wider_than_a_phone(
    width: int, language: str, site: Site, open_guest: Callable[..., Guest]
) -> None:
    guest = open_guest(site, Look("phone", language), site.person(location="武汉", bio="long" * 40))
    guest.page.set_viewport_size({"width": width, "height": 700})
    for screen in SCREENS:
        guest.show(screen)
        assert guest.page.evaluate(OVERHANG) <= 0, screen
        assert guest.page.evaluate(CROOKED) == [], screen
