"""The pages of the operator's desk in a browser."""

import re
from typing import Any

from playwright.sync_api import Locator, expect

from swiper.admin.messages import say
from tests.browser.guests import Guest

# How many points of each chart's picture have exactly this colour of the theme.
PAINTED = """(name) => {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const wanted = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const painted = ({width, height}, context) => {
    const {data} = context.getImageData(0, 0, width, height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] === 255 && wanted.every((value, index) => data[at + index] === value)) count += 1;
    }
    return count;
  };
  return [...document.querySelectorAll('.chart')].map((card) => {
    const canvas = card.querySelector('.plot canvas');
    return [card.querySelector('h3').textContent, canvas ? painted(canvas, canvas.getContext('2d')) : 0];
  });
}"""


class AdminPages:
    """The pages at /admin, in the language of the guest's browser."""

    def __init__(self, guest: Guest) -> None:
        self.guest, self.page = guest, guest.page

    def open(self, path: str = "") -> None:
        """Go to one of the pages."""
        self.page.goto(f"/admin{path}")
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()

    def turn_to(self, title: str) -> None:
        """Go to the page with this English title, by the links above."""
        word = self.word(title)
        self.page.get_by_role("navigation").get_by_role("link", name=word, exact=True).click()
        self.expect_title(word)

    def expect_title(self, title: str) -> None:
        """Wait for the page with this title."""
        expect(self.page.get_by_role("heading", level=1, name=title, exact=True)).to_be_visible()

    def word(self, english: str, **values: Any) -> str:
        """This sentence in the language of the browser."""
        return say(english, self.guest.look.language).format(**values)

    def field(self, english: str) -> Locator:
        """The field with this label; a few name their time zone after it."""
        return self.page.get_by_label(re.compile(rf"^{re.escape(self.word(english))}( \(.*\))?$"))

    def button(self, english: str, **values: Any) -> Locator:
        """The button with this text."""
        return self.page.get_by_role("button", name=self.word(english, **values), exact=True)

    def row(self, text: str) -> Locator:
        """The line of a table with this text in it."""
        return self.page.get_by_role("row").filter(has_text=text)

    def expect_notice(self, english: str) -> None:
        """Wait until the page tells that it is done."""
        expect(self.page.get_by_role("status")).to_have_text(self.word(english))

    def find(self, wanted: str) -> None:
        """Search for somebody."""
        self.turn_to("People")
        self.page.get_by_role("searchbox").fill(wanted)
        self.button("Search").click()

    def painted(self, token: str) -> dict[str, int]:
        """How many points of each chart have the colour of this name, by the chart's title."""
        return dict(self.page.evaluate(PAINTED, token))

    def set_up_sale(self, name: str, *, price: str, stock: int) -> None:
        """Fill in and send the form of a sale of the lowest level, for a day from now on."""
        self.turn_to("Sales")
        self.field("Name").fill(name)
        self.field("Yuan in all").fill(price)
        self.field("Stock").fill(str(stock))
        self.button("Set up").click()
