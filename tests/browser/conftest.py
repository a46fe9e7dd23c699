"""A service, a browser, and guests who look at the one with the other."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.guests import Guest, close_all
from tests.browser.looks import Look
from tests.browser.site import Person, Site

# The machine may be busy with the other half of the tests.
PATIENCE_MS = 15_000


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests have measured, wherever they ran."""
    for report in terminalreporter.stats.get("passed", []):
        for name, figure in report.user_properties:
            terminalreporter.write_line(f"{name}: {figure}")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The service that most tests share; its robots like nobody, so that no match comes unasked."""
    yield from _serve(Site(*_places(tmp_path_factory.mktemp("quiet")), share=0))


@pytest.fixture(scope="session")
def lively_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service whose robots answer, as with a bare `make run`."""
    yield from _serve(Site(*_places(tmp_path_factory.mktemp("lively"))))


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[Site]:
    """A service of the test's own, which it may stop."""
    yield from _serve(Site(*_places(tmp_path), share=0))


def _places(folder: Path) -> tuple[Path, Path]:
    return folder / "instance", folder / "log"


def _serve(site: Site) -> Iterator[Site]:
    with site.program:
        site.wait_until_serving()
        yield site


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        browser = launch(playwright.chromium)
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


def launch(chromium) -> Browser:  # type: ignore[no-untyped-def]
    """Start the browser that the machine has. Raises AssertionError where it has none."""
    path = shutil.which("chromium")
    assert path, "install Debian's package chromium"
    # In a container one is root, and Chromium's own sandbox refuses to start.
    return chromium.launch(executable_path=path, args=["--no-sandbox"])


@pytest.fixture
def open_guest(browser: Browser) -> Iterator[Callable[..., Guest]]:
    """Opens windows on a site; at the end of the test none of them may have met a fault."""
    guests: list[Guest] = []

    def invite(site: Site, look: Look | None = None, person: Person | None = None) -> Guest:
        guest = Guest(browser, site, look or Look(), person)
        guest.page.set_default_timeout(PATIENCE_MS)
        guests.append(guest)
        return guest

    yield invite
    close_all(guests)
