"""axe-core finds nothing wrong with any page of the desk."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import violations
from tests.browser.admin import AdminPages
from tests.browser.guests import Guest
from tests.browser.looks import EVERY_PAIR, Look
from tests.browser.site import Person, Site, new_phone

pytestmark = pytest.mark.browser

CHARTS = 9
LISTS = ("/bans", "/levels", "/sales", "/orders", "/actions")


@pytest.mark.parametrize("look", EVERY_PAIR, ids=str)
def test_every_page_of_the_desk_is_accessible(look: Look, site: Site, open_guest: Callable[..., Guest]) -> None:
    guest, buyer = open_guest(site, look, site.operator), site.person(level=1, bio="喜欢爬山。")
    admin = AdminPages(guest)
    # As few lines as there may be: each is looked at in full, and they are all alike.
    admin.open("?days=7")
    expect(guest.page.locator(".plot canvas")).to_have_count(CHARTS)
    for table in guest.page.locator("summary").all():
        table.click()
    assert violations(guest.page) == []
    fill_lists(admin, buyer)
    for path in (*LISTS, f"/people?nickname={buyer.nickname}", f"/people/{buyer.id}", f"/orders?uid={buyer.id}"):
        admin.open(path)
        assert violations(guest.page) == [], path
    guest.page.get_by_role("rowheader").get_by_role("link").click()
    admin.expect_title(admin.word("Order"))
    assert violations(guest.page) == []


@pytest.mark.parametrize("look", EVERY_PAIR, ids=str)
def test_a_refusal_of_the_desk_is_accessible(look: Look, site: Site, open_guest: Callable[..., Guest]) -> None:
    guest = open_guest(site, look, site.operator)
    guest.expect_fault("status of 404")
    admin = AdminPages(guest)
    admin.open("/people/1")
    admin.expect_title(admin.word("Not done"))
    assert violations(guest.page) == []


def fill_lists(admin: AdminPages, person: Person) -> None:
    """A line in each list, and somebody suspended."""
    admin.set_up_sale(f"限时 {new_phone()}", price="9.90", stock=5)
    admin.expect_notice("The sale is set up.")
    admin.turn_to("IP bans")
    admin.field("Address or network").fill("2001:db8::/32")
    admin.button("Ban").click()
    admin.expect_notice("The ban is in force.")
    assert violations(admin.page) == []
    admin.open(f"/people/{person.id}")
    admin.field("Reason").fill("spam")
    admin.button("Suspend").click()
    admin.expect_notice("The account is suspended.")
