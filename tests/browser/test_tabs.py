"""Two tabs of one browser, answers that are lost, and a page that was kept before the login."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.browser.deck import Deck
from tests.browser.guests import Guest
from tests.browser.looks import Look
from tests.browser.site import SESSION_COOKIE, Site

pytestmark = pytest.mark.browser

UNANSWERED = r"net::ERR_(INTERNET_DISCONNECTED|FAILED)"


def test_a_tab_begins_anew_when_another_one_has_logged_somebody_else_in(
    site: Site, open_guest: Callable[..., Guest]
) -> None:
    man, woman = site.couple()
    other = site.person(location=f"拉萨{woman.phone}")
    guest = open_guest(site, Look("desktop"), man)
    guest.expect_fault(UNANSWERED)
    guest.page.route("**/api/social/like", lambda route: route.abort())
    deck = Deck(guest)
    deck.open()
    deck.press_button("like")
    expect(guest.page.get_by_text(guest.text("outbox.waiting", count=1)).first).to_be_visible()
    guest.context.add_cookies([{"name": SESSION_COOKIE, "value": other.sid, "url": site.base}])
    second = guest.context.new_page()
    with guest.page.expect_response("**/api/user/profile") as answer:
        second.goto("/")
    assert answer.value.json()["data"]["id"] == other.id
    sent: list[str] = []
    guest.context.on("response", lambda answer: sent.append(answer.url) if answer.url.endswith("/like") else None)
    guest.page.unroute("**/api/social/like")
    expect(guest.page.get_by_text(guest.text("outbox.waiting", count=1))).to_have_count(0)
    assert sent == [], "nothing goes in another's name"


def test_a_swipe_whose_answer_was_lost_is_not_taken_back_for_nothing(
    site: Site, open_guest: Callable[..., Guest]
) -> None:
    man, woman = site.couple()
    guest = open_guest(site, Look("desktop"), man)
    guest.expect_fault(UNANSWERED)

    stored: list[int] = []

    def lose_answer(route: Route) -> None:
        if not stored:
            stored.append(route.fetch().status)
        route.abort()

    guest.page.route("**/api/social/like", lose_answer)
    deck = Deck(guest)
    deck.open()
    deck.press_button("like")
    expect(guest.page.get_by_text(guest.text("outbox.waiting", count=1)).first).to_be_visible()
    assert stored == [200]
    guest.page.keyboard.press("Backspace")
    expect(guest.page.get_by_role("dialog", name=guest.text("upsell.title"))).to_be_visible()
    expect(deck.front).to_have_count(0)
    assert site.get_as(woman, "/api/social/users")["users"][0]["id"] == man.id
    guest.page.unroute("**/api/social/like")


def test_a_swipe_that_never_left_is_taken_back_for_nothing(site: Site, open_guest: Callable[..., Guest]) -> None:
    """The first swipe may have arrived; the second one waits behind it."""
    man, *_ = [site.person(location="那曲", sex=sex) for sex in ("male", "female", "female")]
    guest = open_guest(site, Look("desktop"), man)
    guest.expect_fault(UNANSWERED)
    deck = Deck(guest)
    deck.open()
    guest.context.set_offline(True)
    deck.press_button("like")
    expect(guest.page.get_by_text(guest.text("outbox.waiting", count=1)).first).to_be_visible()
    last = deck.front.locator("bdi").text_content()
    deck.press_button("like")
    expect(guest.page.get_by_text(guest.text("outbox.waiting", count=2)).first).to_be_visible()
    guest.page.keyboard.press("Backspace")
    expect(deck.front.locator("bdi")).to_have_text(str(last))
    expect(guest.page.get_by_text(guest.text("outbox.waiting", count=1)).first).to_be_visible()
    guest.context.set_offline(False)


def test_a_page_that_was_kept_before_the_login_knows_who_is_here(site: Site, open_guest: Callable[..., Guest]) -> None:
    person = site.person()
    guest = open_guest(site, Look())
    guest.expect_fault(UNANSWERED)
    guest.open()
    assert guest.page.evaluate("async () => Boolean((await navigator.serviceWorker.ready).active)")
    guest.context.add_cookies([{"name": SESSION_COOKIE, "value": person.sid, "url": site.base}])
    second = guest.context.new_page()
    second.goto("/")
    expect(second.get_by_role("navigation", name=guest.text("nav.label"))).to_be_visible()
    second.evaluate("""async () => {
      for (const name of await caches.keys()) {
        const cache = await caches.open(name);
        const page = await (await cache.match("/")).text();
        const older = page.replace('data-has-cookie="yes"', 'data-has-cookie="no"');
        await cache.put("/", new Response(older, { headers: { "Content-Type": "text/html" } }));
      }
    }""")
    guest.page.close()
    guest.context.set_offline(True)
    second.reload()
    expect(second.get_by_role("heading", name=guest.text("away.title"))).to_be_visible()
    guest.context.set_offline(False)
