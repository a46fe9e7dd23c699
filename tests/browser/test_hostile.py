"""People who write markup and scripts into their profiles: it is shown as text, and nothing of it runs."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.deck import Deck
from tests.browser.guests import Guest
from tests.browser.looks import Look
from tests.browser.site import Site

pytestmark = pytest.mark.browser

NICKNAMES = (
    "<img src=x onerror=hacked()>",
    "<script>hacked()</script>",
    "${hacked()}{{hacked()}}",
    '"><svg onload=hacked()>',
)
BIO = (
    '</script><script>hacked()</script><img src="x" onerror="hacked()">'
    '<iframe src="javascript:parent.hacked()"></iframe>'
    "<a href='javascript:hacked()'>press me</a> javascript:hacked()"
)
SCREENS = ("deck", "likes", "friends", "hot", "me", "vip")
TRAP = "window.hackedBy = []; window.hacked = () => window.hackedBy.push(location.href);"


@pytest.mark.parametrize("number", range(len(NICKNAMES)))
def test_a_hostile_profile_is_text_wherever_it_is_shown(
    number: int, site: Site, open_guest: Callable[..., Guest]
) -> None:
    # The victim is as hostile as the one they meet, so that the own pages are tried as well.
    man, woman = site.couple(level=3)
    site.post_as(man, "/api/user/profile/modify", nickname=f"{number}{NICKNAMES[number - 1]}", bio=BIO)
    hostile = NICKNAMES[number]
    site.post_as(woman, "/api/user/profile/modify", nickname=hostile, bio=BIO)
    site.post_as(woman, "/api/social/like", sid=man.id)
    guest = open_guest(site, Look("desktop"), man)
    guest.context.add_init_script(TRAP)
    deck = Deck(guest)
    deck.open()
    expect(deck.front.locator("bdi")).to_have_text(hostile)
    expect(deck.front).to_contain_text("javascript:hacked()")
    guest.show("likes")
    expect(guest.page.get_by_role("button", name=hostile, exact=False).first).to_be_visible()
    guest.show("deck")
    deck.press_key("like")
    expect(guest.page.get_by_role("dialog", name=guest.text("match.title"))).to_contain_text(hostile)
    guest.button("match.show_friends").click()
    guest.page.get_by_role("button", name=hostile).click()
    expect(guest.page.get_by_role("dialog")).to_contain_text("javascript:hacked()")
    for screen in SCREENS:
        guest.show(screen)
        guest.page.wait_for_load_state("networkidle")
        assert guest.page.evaluate("() => window.hackedBy") == []
        assert guest.page.locator("main iframe, main script, main a[href^='javascript']").count() == 0
