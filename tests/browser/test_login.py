"""Numbers and codes as people paste them into the login page, and what it does by itself before a code is sent."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.guests import Guest
from tests.browser.looks import Look
from tests.browser.site import Site, new_phone

pytestmark = pytest.mark.browser
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


@pytest.mark.parametrize("pasted", ["\u202d+86 {}\u202c", "tel:+86-{}", "(+86){}", "0086 {}", "（+86）\u200e{}", "{}"])
def test_a_pasted_number_and_code_log_in(site: Site, open_guest: Callable[..., Guest], pasted: str) -> None:
    guest, phone = open_guest(site, Look("desktop", "en")), new_phone()
    guest.open()
    guest.field("login.phone").fill(pasted.format(f"{phone[:3]}\u2013{phone[3:7]} {phone[7:]}"))
    guest.button("login.send_code").click()
    code = site.code_for(phone)
    guest.field("login.code").fill(f"{code[:3]} {code[3:]}\u200b".translate(ARABIC))
    expect(guest.field("login.code")).to_have_value(code)
    guest.button("login.log_in").click()
    expect(guest.field("profile.nickname")).to_be_visible()


@pytest.fixture
def hot_site(tmp_path: Path) -> Iterator[Site]:
    """A service whose budgets run hot from the second code on."""
    hot = Site(tmp_path / "instance", tmp_path / "log", share=0, PROOF_OF_WORK_PERCENT=0, PROOF_OF_WORK_TRIES=50_000)
    with hot.program:
        hot.wait_until_serving()
        yield hot


def test_a_proof_of_work_is_solved_unseen(hot_site: Site, open_guest: Callable[..., Guest]) -> None:
    with hot_site.visit() as visitor:
        assert visitor.post("/api/user/verify", json={"phonenum": new_phone()}).status_code == 200
        assert visitor.post("/api/user/verify", json={"phonenum": new_phone()}).json()["code"] == 1016
    guest, phone = open_guest(hot_site, Look("desktop", "en")), new_phone()
    # The browser itself tells of the 403 that asks for the proof.
    guest.expect_fault("403")
    guest.open()
    guest.field("login.phone").fill(phone)
    guest.button("login.send_code").click()
    guest.field("login.code").fill(hot_site.code_for(phone))
    guest.button("login.log_in").click()
    expect(guest.field("profile.nickname")).to_be_visible()
