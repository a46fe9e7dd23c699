"""`make screenshots`: the pages as pictures for the READMEs, of a service started for it, into docs/screenshots."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from config.settings import ROOT
from tests.browser.admin import AdminPages
from tests.browser.conftest import launch
from tests.browser.deck import Deck
from tests.browser.guests import Guest
from tests.browser.history import tell_history
from tests.browser.looks import Look
from tests.browser.site import Person, Site

FOLDER = ROOT / "docs/screenshots"
MOST_BYTES = 200_000
SEED = 20
SEEN_GROUPS, LIKED_GROUPS = 4, 2
NAMES = {"zh": "林小满", "en": "Robin Lin"}


@dataclass(frozen=True)
class Screenshot:
    """One picture: of which page, seen how, and by whom."""

    name: str
    look: Look
    stage: Callable[[Guest], None]
    level: int = 0
    is_stranger: bool = False
    is_operator: bool = False


def login(guest: Guest) -> None:
    """The way in."""
    guest.open()
    expect(guest.button("login.send_code")).to_be_visible()


def deck(guest: Guest) -> None:
    """Somebody in front."""
    Deck(guest).open()


def drawn(guest: Guest) -> None:
    """A card on its way."""
    cards = Deck(guest)
    cards.open()
    # The pictures first: what is held is not drawn anew.
    guest.page.wait_for_load_state("networkidle")
    cards.hold(0.3, 0.02)


def match(guest: Guest) -> None:
    """Both faces."""
    cards = Deck(guest)
    cards.open()
    cards.like_until_match()


def overview(guest: Guest) -> None:
    """The operator's desk."""
    AdminPages(guest).open()
    expect(guest.page.locator(".plot canvas").first).to_be_visible()


def screen(name: str) -> Callable[[Guest], None]:
    """One of the client's screens."""

    def show(guest: Guest) -> None:
        guest.show(name)

    return show


SHOTS = (
    Screenshot("login", Look("phone", "zh"), login, is_stranger=True),
    Screenshot("deck", Look("phone", "zh"), deck),
    Screenshot("deck-drawn", Look("phone", "en", "dark"), drawn, level=1),
    Screenshot("deck-desktop", Look("desktop", "en"), deck, level=3),
    Screenshot("match", Look("phone", "zh", calm=True), match, level=2),
    Screenshot("friends", Look("desktop", "zh", "dark"), screen("friends"), level=2),
    Screenshot("likes-hidden", Look("phone", "en"), screen("likes")),
    Screenshot("likes", Look("phone", "zh", "dark"), screen("likes"), level=3),
    Screenshot("hot", Look("phone", "en"), screen("hot")),
    Screenshot("vip", Look("phone", "zh"), screen("vip"), level=1),
    Screenshot("vip-desktop", Look("desktop", "en", "dark"), screen("vip"), level=2),
    Screenshot("profile", Look("desktop", "zh"), screen("me"), level=3),
    Screenshot("admin", Look("desktop", "en"), overview, is_operator=True),
    Screenshot("admin-phone", Look("phone", "zh", "dark"), overview, is_operator=True),
)


def main() -> None:
    """Take all pictures. Raises AssertionError for one that is too large or a page that met a fault."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = Site(Path(folder, "instance"), Path(folder, "log"))
        with site.program:
            site.wait_until_serving()
            site.command("add-sale", "周末秒杀", "--level", "3", "--price", "9.90", "--stock", "100")
            browser = launch(playwright.chromium)
            people: dict[tuple[str, int], Person] = {}
            for shot in SHOTS:
                _take(site, browser, shot, _visitor(site, browser, shot, people))
            browser.close()


def _visitor(site: Site, browser: Browser, shot: Screenshot, people: dict[tuple[str, int], Person]) -> Person | None:
    """Who looks at the page; `people` keeps those who were made for the pictures before."""
    if shot.is_stranger:
        return None
    if shot.is_operator:
        tell_history(site)
        return site.operator
    key = (shot.look.language, shot.level)
    if key not in people:
        people[key] = _resident(site, browser, shot)
    return people[key]


def _resident(site: Site, browser: Browser, shot: Screenshot) -> Person:
    """Somebody with a face, friends and admirers."""
    name = f"{NAMES[shot.look.language]}{shot.level or ''}"
    person = site.person(nickname=name, location="北京", bio="周末爬山，平日写代码。", level=shot.level)
    page = browser.new_page(viewport={"width": 600, "height": 800})
    page.goto(f"{site.base}/portraits/male/{SEED}.svg")
    with site.visit_as(person) as visitor:
        assert visitor.post("/api/user/avatar/upload", files={"avatar": ("me.png", page.screenshot())}).ok
    page.close()
    for group in range(SEEN_GROUPS):
        cards = site.get_as(person, f"/api/social/users?group_num={group}")["users"]
        # Some of those who were seen like back; whoever is not liked stays an admirer.
        for card in cards[:3] if group < LIKED_GROUPS else []:
            site.post_as(person, "/api/social/like", sid=card["id"])
    return person


def _take(site: Site, browser: Browser, shot: Screenshot, person: Person | None) -> None:
    guest = Guest(browser, site, shot.look, person)
    shot.stage(guest)
    guest.page.wait_for_load_state("networkidle")
    path = FOLDER / f"{shot.name}.png"
    guest.page.screenshot(path=path, animations="disabled")
    guest.close()
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {size // 1000} kB")
    assert size <= MOST_BYTES, f"{path} is too large"


if __name__ == "__main__":
    main()
