"""The guard over all browser tests sees what it shall see."""

from collections.abc import Callable

import pytest

from tests.browser.guests import Guest
from tests.browser.site import Site

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("address", "deed", "event", "told"),
    [
        ("/healthz", "console.error('oh')", "console", "console error: oh"),
        ("/healthz", "setTimeout(() => { throw new Error('oh') })", "pageerror", "error in the page"),
        ("/healthz", "fetch('/nowhere')", "console", "status of 404"),
        ("/healthz", "fetch('http://127.0.0.1:9/').catch(() => {})", "console", "Content Security Policy"),
        (
            "about:blank",
            "fetch('http://127.0.0.1:9/').catch(() => {})",
            "request",
            "a request left for http://127.0.0.1:9/",
        ),
    ],
)
def test_what_goes_wrong_in_a_page_is_told(
    address: str, deed: str, event: str, told: str, site: Site, open_guest: Callable[..., Guest]
) -> None:
    guest = open_guest(site)
    guest.page.goto(address)
    with guest.page.expect_event(event):
        guest.page.evaluate(f"() => {{ {deed} }}")
    with pytest.raises(AssertionError, match=told):
        guest.close()
    guest.expect_fault(".")
