"""The whole way of a newcomer: from the phone number to a match and to a VIP level."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.deck import Deck
from tests.browser.guests import Guest
from tests.browser.looks import EVERY_DEVICE_AND_LANGUAGE, Look
from tests.browser.site import Site, new_phone

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("look", EVERY_DEVICE_AND_LANGUAGE, ids=str)
def test_a_newcomer_comes_from_login_to_match_to_vip(
    look: Look, lively_site: Site, open_guest: Callable[..., Guest]
) -> None:
    guest = open_guest(lively_site, look)
    log_in(guest, lively_site)
    nickname = introduce(guest)
    friend = like_until_match(guest, nickname)
    look_at_friends(guest, friend)
    buy_top_level(guest)


def log_in(guest: Guest, site: Site) -> None:
    """Phone, ring, reload, code."""
    phone = new_phone()
    guest.open()
    guest.field("login.phone").fill(phone)
    guest.button("login.send_code").click()
    code = guest.field("login.code")
    expect(code).to_be_focused()
    expect(code).to_have_attribute("autocomplete", "one-time-code")
    ring = guest.page.locator("svg.ring")
    expect(ring).to_be_visible()
    guest.page.reload()
    expect(ring).to_be_visible()
    assert 0 < int(ring.text_content() or 0) <= 60
    # The hint tells a developer where the code lies.
    expect(guest.page.get_by_text("sms-outbox.jsonl")).to_be_visible()
    code.fill(site.code_for(phone))
    guest.button("login.log_in").click()


def introduce(guest: Guest) -> str:
    """What a deck needs to know; the chosen nickname is returned."""
    nickname = f"新人{new_phone()[-6:]}"
    guest.field("profile.nickname").fill(nickname)
    guest.page.locator("label", has_text=re.compile(f"^{guest.text('profile.male')}$")).click()
    guest.field("profile.birthday").fill("1995-05-20")
    guest.field("profile.city").fill("上海")
    guest.button("onboarding.start").click()
    return nickname


def like_until_match(guest: Guest, nickname: str) -> str:
    """Like one after the other until somebody has liked back; who that was is returned."""
    overlay = Deck(guest).like_until_match()
    faces = overlay.get_by_role("img")
    expect(faces).to_have_count(2)
    expect(overlay.get_by_role("img", name=nickname)).to_be_visible()
    friend = re.sub(guest.pattern("match.text").pattern.replace(".*", "(.*)"), r"\1", overlay.locator("p").inner_text())
    expect(overlay.get_by_role("img", name=friend)).to_be_visible()
    return friend


def look_at_friends(guest: Guest, friend: str) -> None:
    """From the overlay to the list."""
    guest.button("match.show_friends").click()
    expect(guest.page.get_by_role("heading", name=guest.text("nav.friends"), exact=True)).to_be_visible()
    expect(guest.page.get_by_role("button", name=friend)).to_be_visible()


def buy_top_level(guest: Guest) -> None:
    """Level 3 from the sandbox, and what it changes."""
    guest.page.get_by_role("link", name=guest.text("nav.vip")).click()
    expect(guest.page.get_by_role("columnheader")).to_have_count(5)
    own = guest.page.get_by_role("region", name=re.compile("3"))
    expect(own).to_have_count(0)
    level = guest.page.locator("label", has=guest.page.locator("input[name=level][value='3']"))
    level.click()
    expect(level.get_by_role("radio")).to_be_checked()
    guest.page.get_by_role("button", name=guest.pattern("vip.order")).click()
    guest.page.get_by_role("button", name=guest.pattern("vip.pay")).click()
    expect(guest.page.get_by_text(guest.text("vip.paid"))).to_be_visible()
    guest.button("app.done").click()
    expect(own).to_be_visible()
    guest.page.get_by_role("link", name=guest.text("nav.likes")).click()
    expect(guest.page.get_by_text(guest.text("likes.locked"))).to_have_count(0)
