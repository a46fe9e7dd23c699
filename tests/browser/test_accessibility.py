"""axe-core finds nothing wrong with any page, in both themes and at both sizes."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.deck import Deck
from tests.browser.guests import Guest
from tests.browser.looks import EVERY_THEME, Look
from tests.browser.site import Person, Site, new_phone

pytestmark = pytest.mark.browser

SCREENS = ("deck", "likes", "hot", "friends", "vip", "me")
# Nothing moves, so that no colour is looked at half-way.
CALM = [Look(look.device, look.language, look.theme, calm=True) for look in EVERY_THEME]


def assert_accessible(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    assert violations(page) == []


def test_axe_finds_what_is_wrong(site: Site, open_guest: Callable[..., Guest]) -> None:
    guest = open_guest(site)
    guest.page.set_content("<html><body><img src='data:,'><button></button></body></html>")
    found = {fault.partition(":")[0] for fault in violations(guest.page)}
    assert {"image-alt", "button-name", "html-has-lang"} <= found
    guest.expect_fault(".")


@pytest.mark.parametrize("look", CALM, ids=str)
def test_the_way_in_is_accessible(look: Look, site: Site, open_guest: Callable[..., Guest]) -> None:
    guest = open_guest(site, look)
    guest.open()
    expect(guest.button("login.send_code")).to_be_visible()
    assert_accessible(guest.page)
    guest.field("login.phone").fill(new_phone())
    guest.button("login.send_code").click()
    expect(guest.field("login.code")).to_be_visible()
    assert_accessible(guest.page)


@pytest.mark.parametrize("look", CALM, ids=str)
@pytest.mark.parametrize("level", [0, 3])
def test_every_screen_is_accessible(
    level: int, look: Look, lively_site: Site, open_guest: Callable[..., Guest]
) -> None:
    person = lively_site.person(location="西安", level=level, bio="喜欢爬山。")
    make_friends(lively_site, person)
    guest = open_guest(lively_site, look, person)
    for screen in SCREENS:
        guest.show(screen)
        assert_accessible(guest.page)


@pytest.mark.parametrize("look", CALM, ids=str)
def test_what_lies_above_the_screens_is_accessible(look: Look, site: Site, open_guest: Callable[..., Guest]) -> None:
    man, woman = site.couple()
    guest = open_guest(site, look, man)
    deck = Deck(guest)
    deck.open()
    guest.button("card.details").click()
    expect(guest.page.get_by_role("dialog")).to_be_visible()
    assert_accessible(guest.page)
    guest.page.keyboard.press("Escape")
    guest.page.keyboard.press("ArrowUp")
    expect(guest.page.get_by_role("dialog", name=guest.text("upsell.title"))).to_be_visible()
    assert_accessible(guest.page)
    guest.page.keyboard.press("Escape")
    site.post_as(woman, "/api/social/like", sid=man.id)
    deck.press_button("like")
    expect(guest.page.get_by_role("dialog", name=guest.text("match.title"))).to_be_visible()
    assert_accessible(guest.page)
    guest.button("match.go_on").click()
    expect(guest.page.get_by_text(guest.text("deck.all_swiped"))).to_be_visible()
    assert_accessible(guest.page)


def make_friends(site: Site, person: Person) -> None:
    """Robots that like back fill the lists."""
    for card in site.get_as(person, "/api/social/users")["users"]:
        site.post_as(person, "/api/social/like", sid=card["id"])
