"""Numbers and codes as people paste them into the login page."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.guests import Guest
from tests.browser.looks import Look
from tests.browser.site import Site, new_phone

pytestmark = pytest.mark.browser
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


@pytest.mark.parametrize("pasted", ["\u202d+86 {}\u202c", "tel:+86-{}", "(+86){}", "0086 {}", "（+86）\u200e{}", "{}"])
def test_a_pasted_number_and_code_log_in(site: Site, open_guest: Callable[..., Guest], pasted: str) -> None:
    guest, phone = open_guest(site, Look("desk", "en")), new_phone()
    guest.open()
    guest.field("login.phone").fill(pasted.format(f"{phone[:3]}\u2013{phone[3:7]} {phone[7:]}"))
    guest.button("login.send_code").click()
    code = site.code_for(phone)
    guest.field("login.code").fill(f"{code[:3]} {code[3:]}\u200b".translate(ARABIC))
    expect(guest.field("login.code")).to_have_value(code)
    guest.button("login.log_in").click()
    expect(guest.field("profile.nickname")).to_be_visible()
