"""Two browsers whose owners like each other."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.deck import Deck
from tests.browser.guests import Guest
from tests.browser.looks import Look
from tests.browser.site import Person, Site

pytestmark = pytest.mark.browser


def test_two_who_like_each_other_see_the_match(site: Site, open_guest: Callable[..., Guest]) -> None:
    his, hers = (
        open_guest(site, Look(device), person)
        for device, person in zip(("phone", "desktop"), site.couple(), strict=True)
    )
    for guest, other in ((his, hers), (hers, his)):
        deck = Deck(guest)
        deck.open()
        assert deck.name() == name_of(other)
    Deck(his).press_button("like")
    Deck(hers).press_key("like")
    # Hers was the second like; his page hears of it without being touched.
    for guest, other in ((hers, his), (his, hers)):
        overlay = guest.page.get_by_role("dialog", name=guest.text("match.title"))
        expect(overlay).to_be_visible(timeout=40_000)
        expect(overlay.get_by_role("img", name=name_of(other))).to_be_visible()
        guest.button("match.show_friends").click()
        expect(guest.page.get_by_role("button", name=name_of(other))).to_be_visible()


def test_the_end_of_a_match_is_asked_for_and_final(site: Site, open_guest: Callable[..., Guest]) -> None:
    man, woman = befriended(site)
    guest = open_guest(site, Look(), man)
    guest.show("friends")
    guest.page.get_by_role("button", name=woman.nickname).click()
    guest.button("friends.unmatch").click()
    guest.page.get_by_role("dialog", name=guest.text("friends.unmatch")).get_by_role(
        "button", name=guest.text("friends.unmatch")
    ).click()
    expect(guest.page.get_by_role("heading", name=guest.text("friends.empty"))).to_be_visible()
    assert site.get_as(woman, "/api/social/friends")["total"] == 0


def test_who_may_not_see_likers_is_sent_nothing_about_them(site: Site, open_guest: Callable[..., Guest]) -> None:
    man, woman = site.couple()
    site.post_as(woman, "/api/social/like", sid=man.id)
    guest = open_guest(site, Look(), man)
    bodies: list[str] = []
    guest.page.on("response", lambda answer: bodies.append(answer.url) if "/api/" in answer.url else None)
    with guest.page.expect_response("**/api/social/liked_me/count") as counted:
        guest.show("likes")
    expect(guest.page.get_by_text(guest.text("likes.locked"))).to_be_visible()
    assert set(counted.value.json()["data"]) == {"waiting", "has_more"}
    assert woman.nickname not in guest.page.content()
    assert not [url for url in bodies if url.endswith("/liked_me") or woman.id in url]
    assert guest.page.locator("img").count() == 0


def test_a_member_sees_who_likes_them_and_likes_back(site: Site, open_guest: Callable[..., Guest]) -> None:
    man, woman = site.couple(level=3)
    site.post_as(woman, "/api/social/like", sid=man.id)
    guest = open_guest(site, Look("desktop"), man)
    guest.show("likes")
    guest.page.get_by_role("button", name=guest.text("likes.like_back", name=woman.nickname)).click()
    expect(guest.page.get_by_role("dialog", name=guest.text("match.title"))).to_be_visible()
    assert site.get_as(woman, "/api/social/friends")["total"] == 1


def name_of(guest: Guest) -> str:
    assert guest.person
    return guest.person.nickname


def befriended(site: Site) -> tuple[Person, Person]:
    man, woman = site.couple()
    site.post_as(man, "/api/social/like", sid=woman.id)
    assert site.post_as(woman, "/api/social/like", sid=man.id)["is_matched"]
    return man, woman
