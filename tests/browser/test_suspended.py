"""A suspended account: until when, its data, its end."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from tests.browser.guests import Guest
from tests.browser.looks import LOCALES, Look
from tests.browser.site import TOKEN, Person, Site

pytestmark = pytest.mark.browser

YEAR = str(datetime.now(UTC).year + 2)


def suspend_until(site: Site, person: Person, until: str) -> None:
    """By the operator, at the desk; `until` as its form has it."""
    with site.visit_as(site.operator) as visitor:
        [token] = set(TOKEN.findall(visitor.get(f"/admin/people/{person.id}").text))
        form = {"form_token": token, "reason": "spam", "until": until}
        assert visitor.post(f"/admin/people/{person.id}/suspend", data=form).ok


def log_in(person: Person, guest: Guest) -> None:
    """As far as the page that tells the suspension."""
    guest.expect_fault("status of 403")
    guest.open()
    guest.field("login.phone").fill(person.phone)
    guest.type_fresh_code(person, guest.page.locator("main"))
    guest.button("login.log_in").click()
    expect_suspension(guest)


def expect_suspension(guest: Guest) -> None:
    expect(guest.page.get_by_role("heading", level=1, name=guest.text("suspended.title"))).to_be_visible()


@pytest.mark.parametrize("language", LOCALES)
def test_who_logs_in_while_suspended_takes_their_data_along_and_deletes_the_account(
    language: str, site: Site, open_guest: Callable[..., Guest]
) -> None:
    person = site.person()
    site.command("suspend", person.phone)
    guest = open_guest(site, Look("phone", language))
    log_in(person, guest)
    expect(guest.page.get_by_text(guest.text("suspended.for_good"))).to_be_visible()
    guest.button("account.export").click()
    sheet = guest.page.get_by_role("dialog", name=guest.text("account.export"))
    guest.type_fresh_code(person, sheet)
    with guest.page.expect_download() as download:
        sheet.get_by_role("button", name=guest.text("account.export_yes")).click()
    assert json.loads(download.value.path().read_text(encoding="utf-8"))["account"][0]["id"] == person.id
    assert guest.page.request.get("/api/user/sessions").status == 200
    guest.button("account.delete").click()
    sure = guest.page.get_by_role("dialog", name=guest.text("account.delete"))
    expect(sure.get_by_role("button", name=guest.text("account.delete_yes"))).to_be_disabled()
    guest.type_fresh_code(person, sure)
    sure.get_by_role("button", name=guest.text("account.delete_yes")).click()
    expect(guest.button("login.send_code")).to_be_visible()
    assert guest.page.request.get("/api/user/sessions").status == 401


@pytest.mark.parametrize("language", LOCALES)
def test_a_page_that_is_opened_anew_tells_the_end_and_asks_for_the_number(
    language: str, site: Site, open_guest: Callable[..., Guest]
) -> None:
    person = site.person()
    suspend_until(site, person, f"{YEAR}-06-15T12:00")
    guest = open_guest(site, Look("desktop", language))
    log_in(person, guest)
    guest.page.reload()
    expect_suspension(guest)
    expect(guest.page.get_by_text(guest.pattern("suspended.until"))).to_contain_text(YEAR)
    expect(guest.button("account.export")).to_have_count(0)
    guest.field("login.phone").fill(person.phone)
    guest.button("suspended.go_on").click()
    expect(guest.button("account.export")).to_be_visible()
    guest.button("account.log_out").first.click()
    expect(guest.button("login.send_code")).to_be_visible()
    guest.page.reload()
    expect(guest.button("login.send_code")).to_be_visible()
