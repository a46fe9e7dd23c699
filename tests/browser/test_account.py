"""The account on the own page: export, deletion, logout everywhere, the list of devices."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.guests import Guest
from tests.browser.looks import LOCALES, Look
from tests.browser.site import Site

pytestmark = pytest.mark.browser


def open_settings(guest: Guest) -> None:
    guest.open("/#/me/settings")
    expect(guest.page.get_by_role("heading", name=guest.text("account.title"))).to_be_visible()


def test_everything_that_is_kept_of_somebody_comes_as_a_file(
    site: Site, open_guest: Callable[..., Guest], tmp_path: Path
) -> None:
    man, woman = site.couple()
    site.post_as(man, "/api/social/like", sid=woman.id)
    guest = open_guest(site, Look(), man)
    open_settings(guest)
    guest.button("account.export").click()
    sheet = guest.page.get_by_role("dialog", name=guest.text("account.export"))
    guest.type_fresh_code(man, sheet)
    with guest.page.expect_download() as download:
        sheet.get_by_role("button", name=guest.text("account.export_yes")).click()
    download.value.save_as(tmp_path / "export.json")
    text = (tmp_path / "export.json").read_text(encoding="utf-8")
    assert json.loads(text)["account"][0]["id"] == man.id
    assert man.phone in text
    assert woman.id in text


@pytest.mark.parametrize("language", LOCALES)
def test_an_account_is_deleted_once_its_name_is_typed(
    language: str, site: Site, open_guest: Callable[..., Guest]
) -> None:
    man, woman = site.couple()
    guest = open_guest(site, Look("phone", language), man)
    open_settings(guest)
    guest.button("account.delete").click()
    sure = guest.page.get_by_role("dialog", name=guest.text("account.delete"))
    final = sure.get_by_role("button", name=guest.text("account.delete_yes"))
    expect(final).to_be_disabled()
    guest.type_fresh_code(man, sure)
    name = sure.get_by_label(guest.text("account.delete_type", name=man.nickname))
    name.fill(man.nickname[:-1])
    expect(final).to_be_disabled()
    name.fill(man.nickname)
    final.click()
    expect(guest.button("login.send_code")).to_be_visible()
    with site.visit_as(man) as visitor:
        assert visitor.get("/api/user/profile").status_code == 401
    assert site.get_as(woman, "/api/social/users")["users"] == []


def test_a_logout_everywhere_ends_the_other_browser_too(site: Site, open_guest: Callable[..., Guest]) -> None:
    person = site.person()
    here, there = open_guest(site, Look("desktop"), person), open_guest(site, Look(), person)
    there.expect_fault("status of 401")
    there.show("deck")
    open_settings(here)
    here.button("account.log_out_all").click()
    expect(here.button("login.send_code")).to_be_visible()
    there.page.get_by_role("link", name=there.text("nav.hot")).click()
    expect(there.page.get_by_text(there.text("login.session_ended"))).to_be_visible()
    expect(there.button("login.send_code")).to_be_visible()


@pytest.mark.parametrize("language", LOCALES)
def test_one_other_device_is_logged_out_from_the_list(
    language: str, site: Site, open_guest: Callable[..., Guest]
) -> None:
    person = site.person()
    other = site.log_in_again(person)
    guest = open_guest(site, Look("phone", language), person)
    open_settings(guest)
    devices = guest.page.get_by_role("region", name=guest.text("devices.title"))
    expect(devices.get_by_role("listitem")).to_have_count(2)
    expect(devices.get_by_text(guest.text("devices.current"))).to_have_count(1)
    name = guest.text("devices.end_named", name="python-requests")
    devices.get_by_role("button", name=name).click()
    expect(devices.get_by_role("listitem")).to_have_count(1)
    with site.visit_as(other) as visitor:
        assert visitor.get("/api/user/profile").status_code == 401
    assert site.get_as(person, "/api/user/profile")["id"] == person.id
