"""The deck under finger, mouse and keyboard."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.deck import KEYS, NUDGE, WAYS, Deck, sid_in
from tests.browser.guests import Guest
from tests.browser.looks import DEVICES, Look
from tests.browser.site import Site

pytestmark = pytest.mark.browser

KINDS = ("like", "dislike", "superlike")
# Robots live here, so that there is somebody to swipe.
LIVELY = {"location": "成都", "level": 3}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("by", ["drag", "press_button", "press_key"])
def test_every_gesture_swipes_the_card_in_front(
    by: str, device: str, site: Site, open_guest: Callable[..., Guest]
) -> None:
    person = site.person(**LIVELY)
    guest = open_guest(site, Look(device, calm=True), person)
    deck = Deck(guest)
    deck.open()
    for kind in KINDS:
        with guest.page.expect_response(deck.answered(kind)) as answer:
            name = getattr(deck, by)(kind)
        assert answer.value.ok
        assert site.get_as(person, f"/api/user/{sid_in(answer.value)}")["nickname"] == name


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_that_is_drawn_tilts_and_shows_what_it_will_be(
    kind: str, site: Site, open_guest: Callable[..., Guest]
) -> None:
    deck = Deck(open_guest(site, Look(), site.person(**LIVELY)))
    deck.open()
    stamps = {
        name: deck.front.locator(f".stamp-{style}")
        for name, style in zip(KINDS, ("like", "nope", "super"), strict=True)
    }
    for stamp in stamps.values():
        expect(stamp).to_have_css("opacity", "0")
    deck.hold(*WAYS[kind])
    for name, stamp in stamps.items():
        expect(stamp).to_have_css("opacity", "1" if name == kind else "0")
    matrix = re.findall(r"-?[\d.]+", deck.front.evaluate("card => getComputedStyle(card).transform"))
    tilt = float(matrix[1])
    assert (tilt > 0.05, tilt < -0.05) == (kind == "like", kind == "dislike")
    deck.page.mouse.up()


def test_a_card_that_is_hardly_moved_comes_back(site: Site, open_guest: Callable[..., Guest]) -> None:
    deck = Deck(open_guest(site, Look(), site.person(**LIVELY)))
    deck.open()
    name = deck.name()
    deck.hold(*NUDGE)
    # Whoever rests before letting go has not thrown the card.
    deck.page.evaluate("() => new Promise((done) => setTimeout(done, 150))")
    deck.page.mouse.up()
    expect(deck.front).to_have_css("transform", "none")
    assert deck.name() == name


def test_the_last_swipe_is_taken_back_by_toast_button_and_key(site: Site, open_guest: Callable[..., Guest]) -> None:
    guest = open_guest(site, Look("desktop"), site.person(**LIVELY))
    deck = Deck(guest)
    deck.open()
    first = deck.name()
    undo = (
        lambda: guest.page.get_by_role("button", name=guest.text("deck.undo")).click(),
        lambda: guest.button("deck.rewind").click(),
        lambda: guest.page.keyboard.press("Backspace"),
    )
    for take_back in undo:
        with guest.page.expect_response(deck.answered("dislike")):
            deck.press_key("dislike")
        take_back()
        expect(deck.front.locator("bdi")).to_have_text(first)
    # Three a day, and now they are used up.
    deck.press_key("dislike")
    guest.button("deck.rewind").click()
    expect(guest.page.get_by_role("dialog", name=guest.text("upsell.quota_title"))).to_be_visible()


def test_without_the_level_a_superlike_is_offered_not_sent(site: Site, open_guest: Callable[..., Guest]) -> None:
    deck = Deck(open_guest(site, Look(), site.person(location="成都")))
    deck.open()
    name = deck.name()
    deck.page.keyboard.press(KEYS["superlike"])
    expect(deck.page.get_by_role("dialog", name=deck.guest.text("upsell.title"))).to_be_visible()
    deck.page.keyboard.press("Escape")
    expect(deck.page.get_by_role("dialog")).to_have_count(0)
    assert deck.name() == name


def test_an_empty_deck_says_why_and_offers_to_widen(site: Site, open_guest: Callable[..., Guest]) -> None:
    man, woman = site.couple()
    site.post_as(man, "/api/user/profile/modify", min_dating_age=50, max_dating_age=60)
    guest = open_guest(site, Look(), man)
    guest.show("deck")
    expect(guest.page.get_by_text(guest.text("deck.nobody_fits"))).to_be_visible()
    guest.button("deck.relax_min_age").click()
    expect(Deck(guest).front.locator("bdi")).to_have_text(woman.nickname)


def test_the_next_pictures_are_there_before_they_are_needed(site: Site, open_guest: Callable[..., Guest]) -> None:
    guest = open_guest(site, Look(), site.person(**LIVELY))
    portraits: list[str] = []
    guest.page.on(
        "requestfinished", lambda request: portraits.append(request.url) if "/portraits/" in request.url else None
    )
    deck = Deck(guest)
    deck.open()
    guest.page.wait_for_load_state("networkidle")
    before = len(portraits)
    assert before >= 3
    assert deck.press_key("dislike")
    picture = deck.front.get_by_role("img")
    expect(picture).to_be_visible()
    assert picture.get_attribute("src") in {url.removeprefix(site.base) for url in portraits[:before]}
