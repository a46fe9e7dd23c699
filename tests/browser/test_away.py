"""Without network, and with a server that is away: nothing is lost in silence."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.deck import Deck
from tests.browser.guests import Guest
from tests.browser.looks import Look
from tests.browser.site import Site

pytestmark = pytest.mark.browser

# What Chromium writes into the console of a page that asks for something in vain.
UNANSWERED = (
    r"net::ERR_(INTERNET_DISCONNECTED|CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|FAILED|CONNECTION_ABORTED)"
)
# The page is told by its timer; the longest pause between two tries is half a minute.
RESENT_MS = 60_000
IS_KEPT = "async () => Boolean((await navigator.serviceWorker.ready).active)"


def test_the_shell_opens_without_network(site: Site, open_guest: Callable[..., Guest]) -> None:
    guest = open_guest(site, Look(), site.person())
    guest.expect_fault(UNANSWERED)
    guest.show("deck")
    assert guest.page.evaluate(IS_KEPT)
    guest.context.set_offline(True)
    guest.page.reload()
    expect(guest.page.get_by_role("heading", name=guest.text("away.title"))).to_be_visible()
    # The page tries again by itself.
    guest.context.set_offline(False)
    expect(guest.page.get_by_role("navigation", name=guest.text("nav.label"))).to_be_visible()


def test_a_swipe_without_network_is_kept_over_a_reload_and_sent(site: Site, open_guest: Callable[..., Guest]) -> None:
    man, woman = site.couple()
    guest = open_guest(site, Look(), man)
    guest.expect_fault(UNANSWERED)
    deck = Deck(guest)
    deck.open()
    assert guest.page.evaluate(IS_KEPT)
    guest.context.set_offline(True)
    deck.press_button("like")
    expect(guest.page.get_by_text(guest.text("outbox.waiting", count=1)).first).to_be_visible()
    guest.page.reload()
    expect(guest.page.get_by_text(guest.text("outbox.waiting", count=1)).first).to_be_visible()
    with guest.page.expect_response(deck.answered("like"), timeout=RESENT_MS) as answer:
        guest.context.set_offline(False)
    assert answer.value.ok
    assert site.get_as(woman, "/api/social/users")["users"][0]["id"] == man.id


def test_a_swipe_while_the_server_is_down_is_sent_when_it_is_back(
    own_site: Site, open_guest: Callable[..., Guest]
) -> None:
    man, woman = own_site.couple()
    guest = open_guest(own_site, Look("desktop"), man)
    guest.expect_fault(UNANSWERED)
    deck = Deck(guest)
    deck.open()
    own_site.program.stop()
    deck.press_key("like")
    expect(guest.page.get_by_text(guest.text("outbox.waiting", count=1)).first).to_be_visible()
    again = own_site.again()
    with again.program:
        again.wait_until_serving()
        with guest.page.expect_response(
            lambda answer: "/api/social/like" in answer.url and answer.ok, timeout=RESENT_MS
        ):
            pass
        expect(guest.page.get_by_text(guest.text("outbox.waiting", count=1))).to_have_count(0)
        assert again.get_as(woman, "/api/social/users")["users"][0]["id"] == man.id
        guest.page.close()


def test_a_swipe_that_the_server_refuses_is_told(site: Site, open_guest: Callable[..., Guest]) -> None:
    man, woman = site.couple()
    guest = open_guest(site, Look(), man)
    guest.expect_fault("404")
    deck = Deck(guest)
    deck.open()
    with site.visit_as(woman) as visitor:
        code = site.fresh_code(woman, lambda: visitor.post("/api/user/verify", json={"phonenum": woman.phone}))
        assert visitor.delete("/api/user/account", json={"vcode": code}).ok
    deck.press_button("like")
    refusal = guest.pattern("deck.refused")
    expect(guest.page.get_by_text(refusal)).to_be_visible()
    expect(guest.page.get_by_text(refusal)).to_contain_text(woman.nickname)
