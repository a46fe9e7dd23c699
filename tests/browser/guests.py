"""Somebody at a browser, who is watched: whatever goes wrong behind the page fails the test."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Request, expect

from tests.browser.looks import Look, texts_of
from tests.browser.site import SESSION_COOKIE, Person, Site

# What stands in the place of contents that are on their way.
BONES = ".bone, .card-bone"
# Drawn or kept by the browser itself; nothing is asked for over the network.
LOCAL_SCHEMES = {"data", "blob"}


class Guest:
    """One browser window with cookies of its own, on `site`."""

    def __init__(self, browser: Browser, site: Site, look: Look, person: Person | None = None) -> None:
        self.site, self.look, self.person = site, look, person
        self.context = browser.new_context(base_url=site.base, **look.options())
        self.texts = texts_of(look.language)
        self.faults: list[str] = []
        self.expected: list[re.Pattern[str]] = []
        self.context.on("request", self._check_origin)
        self.context.on("console", self._check_console)
        self.context.on("weberror", lambda fault: self.faults.append(f"error in the page: {fault.error}"))
        if person:
            self.context.add_cookies([{"name": SESSION_COOKIE, "value": person.sid, "url": site.base}])
        self.page = self.context.new_page()

    def expect_fault(self, pattern: str) -> None:
        """From now on faults like this belong to the test."""
        self.expected.append(re.compile(pattern))

    def close(self) -> None:
        """Leave, and tell what went wrong meanwhile. Raises AssertionError."""
        self.context.close()
        unexpected = [fault for fault in self.faults if not any(known.search(fault) for known in self.expected)]
        assert not unexpected, unexpected

    def open(self, path: str = "/") -> None:
        """Go to a page of the site, and wait until the client has drawn it."""
        self.page.goto(path)
        expect(self.page.locator("#app main")).to_be_visible()

    def show(self, screen: str) -> None:
        """Open one of the client's screens, and wait until its contents have come."""
        self.open(f"/#/{screen}")
        heading = self.page.get_by_role("heading", level=1, name=self.text(f"nav.{screen}"), exact=True)
        expect(heading).to_be_attached()
        expect(self.page.locator(BONES)).to_have_count(0)

    def text(self, key: str, **values: Any) -> str:
        """A text of the page by its key in the catalogue."""
        text = self.texts[key]
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    def pattern(self, key: str) -> re.Pattern[str]:
        """A text of the page, whatever stands for its placeholders."""
        return re.compile(re.sub(r"\\\{\w+\\\}", ".*", re.escape(self.texts[key])))

    def button(self, key: str) -> Locator:
        """The button with this text, whatever figures follow it."""
        return self.page.get_by_role("button", name=re.compile(f"^{re.escape(self.texts[key])}"))

    def field(self, key: str) -> Locator:
        """The field with this label."""
        return self.page.get_by_label(self.texts[key], exact=True)

    def type_fresh_code(self, person: Person, form: Locator) -> None:
        """Have a new code sent to the person by the form's button, and type it into the form."""
        send = form.get_by_role("button", name=self.text("login.send_code"))
        form.get_by_label(self.text("login.code")).fill(self.site.fresh_code(person, send.click))

    def _check_origin(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in LOCAL_SCHEMES and f"{address.scheme}://{address.netloc}" != self.site.base:
            self.faults.append(f"a request left for {request.url}")

    def _check_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console {message.type}: {message.text} at {message.location.get('url')}")


def close_all(guests: Iterable[Guest]) -> None:
    """Close every window, and tell the faults of all."""
    faults = []
    for guest in guests:
        try:
            guest.close()
        except AssertionError as error:
            faults.append(str(error))
    assert not faults, faults
