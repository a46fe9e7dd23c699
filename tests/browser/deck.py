"""The deck as somebody at the browser handles it."""

import re

from playwright.sync_api import Locator, Response, expect

from tests.browser.guests import Guest

KEYS = {"like": "ArrowRight", "dislike": "ArrowLeft", "superlike": "ArrowUp"}
# Which way a card is drawn, in its own widths and heights.
WAYS = {"like": (0.7, 0.02), "dislike": (-0.7, 0.02), "superlike": (0.02, -0.45)}
NUDGE = (0.08, 0.0)
STEPS = 8
# Two of five people that a robot's deck shows like back; nobody has so much bad luck.
MOST_LIKES = 30
ALL_ANSWERED = "() => !Object.keys(localStorage).some((name) => name.startsWith('swiper.outbox.'))"


class Deck:
    """The cards in front of a guest."""

    def __init__(self, guest: Guest) -> None:
        self.guest, self.page = guest, guest.page

    def open(self) -> None:
        """Show the deck, and wait for somebody to be in front."""
        self.guest.show("deck")
        expect(self.front).to_be_visible()

    @property
    def front(self) -> Locator:
        """The card that can be swiped; those behind it and those that leave are hidden from everybody's ears."""
        return self.page.get_by_role("article")

    def name(self) -> str:
        """Who is in front."""
        return self.front.locator("bdi").inner_text()

    def wait_until_gone(self, name: str) -> None:
        """Wait until somebody else, or nobody, is in front."""
        expect(self.front.locator("bdi").get_by_text(name, exact=True)).to_have_count(0)

    def press_button(self, kind: str) -> str:
        """Swipe by the button below the card; who was swiped is returned."""
        name = self.name()
        self.guest.button(f"deck.{kind}").click()
        self.wait_until_gone(name)
        return name

    def press_key(self, kind: str) -> str:
        """Swipe by the keyboard; who was swiped is returned."""
        name = self.name()
        self.page.keyboard.press(KEYS[kind])
        self.wait_until_gone(name)
        return name

    def drag(self, kind: str) -> str:
        """Swipe by drawing the card away; who was swiped is returned."""
        name = self.name()
        self.hold(*WAYS[kind])
        self.page.mouse.up()
        self.wait_until_gone(name)
        return name

    def like_until_match(self) -> Locator:
        """Like one after the other until somebody has liked back; what lies above the deck then is returned."""
        overlay = self.page.get_by_role("dialog", name=self.guest.text("match.title"))
        for _ in range(MOST_LIKES):
            expect(self.front.or_(overlay).first).to_be_visible()
            self.page.wait_for_function(ALL_ANSWERED)
            if overlay.is_visible():
                break
            # A robot may like back at any moment, and then the key does nothing.
            name = self.name()
            self.page.keyboard.press(KEYS["like"])
            expect(self.front.filter(has_not_text=name).or_(overlay).first).to_be_visible()
        expect(overlay).to_be_visible()
        return overlay

    def hold(self, across: float, down: float) -> None:
        """Take the card by its middle and draw it so far, in its own widths and heights, without letting go."""
        box = self.front.bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + across * box["width"], y + down * box["height"], steps=STEPS)

    def answered(self, kind: str) -> "re.Pattern[str]":
        """The address of a swipe of this kind, to wait for its answer."""
        return re.compile(f"/api/social/{kind}$")


def sid_in(answer: Response) -> str:
    """Whom an answered swipe was on."""
    sid: str = answer.request.post_data_json["sid"]
    return sid
