"""A flash sale from the desk that sets it up to the level that was bought, and what the queue tells meanwhile."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.admin import AdminPages
from tests.browser.guests import Guest
from tests.browser.looks import BOTH, Look
from tests.browser.site import Site, new_phone

pytestmark = pytest.mark.browser


def pay(guest: Guest, sale: Locator) -> None:
    """Pay the order that the sale has given, in the sandbox."""
    sale.get_by_role("button", name=guest.text("sale.pay")).click()
    guest.page.get_by_role("dialog").get_by_role("button", name=guest.pattern("vip.pay")).click()
    expect(guest.page.get_by_role("dialog")).to_contain_text(guest.text("vip.paid"))
    guest.button("app.done").click()
    expect(guest.page.get_by_role("region", name=re.compile("1"))).to_be_visible()


def offer(guest: Guest, name: str) -> Locator:
    """One sale on the client's VIP page."""
    return guest.page.get_by_role("listitem").filter(has=guest.page.get_by_role("heading", name=name))


@pytest.mark.parametrize("look", BOTH, ids=str)
def test_a_sale_leads_from_the_desk_over_the_queue_to_the_level(
    look: Look, site: Site, open_guest: Callable[..., Guest]
) -> None:
    name = f"限时 {new_phone()}"
    admin = AdminPages(open_guest(site, Look("desktop", look.language), site.operator))
    admin.open()
    admin.set_up_sale(name, price="6.60", stock=2)
    admin.expect_notice("The sale is set up.")
    guest = open_guest(site, look, site.person())
    guest.show("vip")
    sale = offer(guest, name)
    expect(sale).to_contain_text("6.6")
    expect(sale).to_contain_text(guest.text("sale.left", left=2, stock=2))
    expect(sale).to_contain_text(guest.pattern("sale.ends_in"))
    with site.idle_worker():
        sale.get_by_role("button", name=guest.text("sale.queue_up")).click()
        expect(sale.get_by_role("status")).to_have_text(guest.text("sale.queued"))
        # The place in the queue outlives the page.
        guest.page.reload()
        expect(sale.get_by_role("status")).to_have_text(guest.text("sale.queued"))
        expect(sale.get_by_role("button")).to_have_count(0)
    expect(sale.get_by_role("status")).to_have_text(guest.text("sale.ordered"))
    pay(guest, sale)
    expect(sale).to_contain_text(guest.text("sale.settled"))
    expect(sale.get_by_role("button")).to_have_count(0)
    admin.turn_to("Sales")
    expect(admin.row(name)).to_contain_text("1 / 2")
    assert guest.person
    admin.open(f"/orders?uid={guest.person.id}")
    expect(admin.row("6.60")).to_contain_text(admin.word("paid"))


def test_the_last_place_is_given_once_and_paid_after_the_sale(site: Site, open_guest: Callable[..., Guest]) -> None:
    name = f"last {new_phone()}"
    admin = AdminPages(open_guest(site, Look("desktop"), site.operator))
    admin.open()
    admin.set_up_sale(name, price="1", stock=1)
    buyers = [open_guest(site, Look(device), site.person()) for device in ("phone", "desktop")]
    with site.idle_worker():
        for guest in buyers:
            guest.show("vip")
            offer(guest, name).get_by_role("button", name=guest.text("sale.queue_up")).click()
            expect(offer(guest, name).get_by_role("status")).to_have_text(guest.text("sale.queued"))
    told = {}
    for guest in buyers:
        status = offer(guest, name).get_by_role("status")
        expect(status).not_to_have_text(guest.text("sale.queued"))
        told[status.inner_text()] = guest
    winner = told[buyers[0].text("sale.ordered")]
    assert set(told) == {winner.text("sale.ordered"), winner.text("sale.sold_out")}
    admin.button("Close the sale {name}", name=name).click()
    admin.expect_notice("The sale is closed.")
    expect(admin.row(name)).to_contain_text(admin.word("over"))
    late = open_guest(site, Look(), site.person())
    late.show("vip")
    expect(late.page.get_by_role("heading", name=late.text("sale.title"))).to_be_visible()
    expect(offer(late, name)).to_have_count(0)
    # Whoever had got the place keeps it.
    winner.page.reload()
    expect(offer(winner, name)).to_contain_text(winner.text("sale.over"))
    pay(winner, offer(winner, name))
    admin.turn_to("Log")
    for action in ("add_sale", "close_sale"):
        expect(admin.row(admin.word(action)).filter(has_text=site.operator.nickname).first).to_be_visible()
