"""The operator's desk: who gets in, what it shows, and what its changes do to everybody else."""

from collections.abc import Callable

import pyotp
import pytest
from playwright.sync_api import expect

from tests.browser.admin import AdminPages
from tests.browser.deck import Deck
from tests.browser.guests import Guest
from tests.browser.looks import BOTH, LOCALES, Look
from tests.browser.site import Site, new_phone

pytestmark = pytest.mark.browser

# What Chromium writes into the console when a page is refused.
REFUSED = "status of {}"
FIRST_LEVEL = 1
# The charts whose metrics this test has made; the others may have nothing to draw yet.
CHARTED = ("Sign-ups", "Swipes", "Matches", "Match rate", "SMS", "Revenue, yuan")
MARK_CHARTS = "() => document.querySelectorAll('.plot canvas').forEach((chart) => chart.classList.add('before'))"
PAGES = ("", "/people", "/bans", "/levels", "/sales", "/orders", "/actions")
OVERHANG = "() => document.documentElement.scrollWidth - innerWidth"


@pytest.mark.parametrize("look", BOTH, ids=str)
def test_the_first_operator_comes_in_by_the_login_once_the_role_is_granted(
    look: Look, site: Site, open_guest: Callable[..., Guest]
) -> None:
    guest, phone = open_guest(site, look), new_phone()
    admin = AdminPages(guest)
    guest.expect_fault(REFUSED.format(404))
    guest.page.goto("/admin")
    guest.field("login.phone").fill(phone)
    guest.button("login.send_code").click()
    guest.field("login.code").fill(site.code_for(phone))
    with guest.page.expect_response("**/admin") as answer:
        guest.button("login.log_in").click()
    assert answer.value.status == 404
    site.command("grant-operator", phone)
    guest.page.reload()
    admin.expect_title(admin.word("Set up your authenticator"))
    admin.button("Next step").click()
    secret = guest.page.locator("main > section > p > code").inner_text()
    admin.field("Code of your authenticator").fill(pyotp.TOTP(secret).now())
    admin.button("Finish").click()
    expect(guest.page.locator(".codes li")).to_have_count(10)
    guest.page.get_by_role("link", name=admin.word("To the desk")).click()
    admin.expect_title(admin.word("Overview"))


def test_the_overview_draws_what_happened_in_the_colours_of_the_theme(
    site: Site, open_guest: Callable[..., Guest]
) -> None:
    man, woman = site.couple(level=1)
    site.post_as(man, "/api/social/like", sid=woman.id)
    assert site.post_as(woman, "/api/social/like", sid=man.id)["is_matched"]
    site.program.wait_for(
        lambda: site.get_as(site.operator, "/admin/figures.json")["matches"][-1], "the match was not counted"
    )
    guest = open_guest(site, Look("desktop"), site.operator)
    admin = AdminPages(guest)
    admin.open()
    expect(guest.page.locator(".plot canvas")).to_have_count(9)
    light = admin.painted("--accent")
    assert all(light[title] for title in CHARTED), light
    guest.page.evaluate(MARK_CHARTS)
    guest.page.emulate_media(color_scheme="dark")
    expect(guest.page.locator("canvas.before")).to_have_count(0)
    dark = admin.painted("--accent")
    assert all(dark[title] for title in CHARTED), dark
    guest.page.get_by_role("link", name=admin.word("{n} days", n=7)).click()
    table = guest.page.get_by_role("region", name=admin.word("Matches"), exact=True)
    guest.page.locator("summary").filter(has_text=admin.word("Matches")).click()
    expect(table.get_by_role("row")).to_have_count(8)
    assert int(table.get_by_role("cell").first.inner_text()) >= 1


@pytest.mark.parametrize("language", LOCALES)
def test_a_suspended_person_is_refused_at_once(language: str, site: Site, open_guest: Callable[..., Guest]) -> None:
    man, woman = site.couple()
    victim = open_guest(site, Look("phone", language), man)
    victim.expect_fault(REFUSED.format(401))
    deck = Deck(victim)
    deck.open()
    admin = AdminPages(open_guest(site, Look("desktop", language), site.operator))
    admin.open()
    admin.find(man.nickname)
    admin.page.get_by_role("link", name=man.nickname, exact=True).click()
    admin.expect_title(man.nickname)
    admin.field("Reason").fill("rude")
    admin.button("Suspend").click()
    admin.expect_notice("The account is suspended.")
    deck.page.keyboard.press("ArrowRight")
    expect(victim.page.get_by_text(victim.text("login.session_ended"))).to_be_visible()
    expect(victim.button("login.send_code")).to_be_visible()
    assert site.get_as(woman, "/api/social/users")["users"] == []
    admin.button("Admit again").click()
    admin.expect_notice("The account is active.")
    assert [user["id"] for user in site.get_as(woman, "/api/social/users")["users"]] == [man.id]


def test_a_person_is_found_by_phone_and_the_log_tells_it(site: Site, open_guest: Callable[..., Guest]) -> None:
    wanted = site.person()
    admin = AdminPages(open_guest(site, Look("desktop"), site.operator))
    admin.open()
    admin.find(wanted.phone)
    admin.expect_title(wanted.nickname)
    assert wanted.phone not in admin.page.content()
    admin.button("Show phone").click()
    expect(admin.page.get_by_text(wanted.phone)).to_be_visible()
    admin.page.get_by_role("link", name=admin.word("Log about this person")).click()
    for action in ("show_phone", "find_by_phone"):
        line = admin.row(admin.word(action)).filter(has_text=wanted.id)
        expect(line).to_contain_text(site.operator.nickname)
    assert wanted.phone not in admin.page.content()


def test_a_network_is_banned_and_freed_again(site: Site, open_guest: Callable[..., Guest]) -> None:
    guest = open_guest(site, Look("phone"), site.operator)
    admin = AdminPages(guest)
    admin.open("/bans")
    admin.field("Address or network").fill("203.0.113.7/24")
    admin.field("Reason").fill("spam")
    admin.button("Ban").click()
    admin.expect_notice("The ban is in force.")
    expect(admin.row("203.0.113.0/24")).to_contain_text("spam")
    assert "203.0.113.0/24" in site.command("list-bans")
    admin.button("Lift the ban of {network}", network="203.0.113.0/24").click()
    admin.expect_notice("The ban is lifted.")
    expect(admin.row("203.0.113.0/24")).to_have_count(0)
    # Nobody locks themselves out.
    guest.expect_fault(REFUSED.format(422))
    admin.field("Address or network").fill("127.0.0.0/8")
    admin.button("Ban").click()
    admin.expect_title("Not done")
    expect(admin.page.get_by_text("This ban would lock you out.")).to_be_visible()


def test_a_price_that_was_changed_is_what_the_client_shows(site: Site, open_guest: Callable[..., Guest]) -> None:
    admin = AdminPages(open_guest(site, Look("desktop"), site.operator))
    admin.open("/levels")
    level = admin.page.get_by_role("form", name=admin.word("Level {n}", n=FIRST_LEVEL))
    price = level.get_by_label(admin.word("Yuan a month"))
    usual = price.input_value()
    price.fill("12.34")
    level.get_by_role("button", name=admin.word("Save")).click()
    admin.expect_notice("The level is changed.")
    guest = open_guest(site, Look("phone", "zh"), site.person())
    guest.show("vip")
    expect(guest.page.get_by_role("columnheader").nth(1 + FIRST_LEVEL)).to_contain_text("12.34")
    price.fill(usual)
    level.get_by_role("button", name=admin.word("Save")).click()
    admin.expect_notice("The level is changed.")
    admin.turn_to("Log")
    # The log keeps amounts in cents.
    expect(admin.row(admin.word("change_level")).filter(has_text="1234").first).to_be_visible()


def test_a_stranger_to_the_desk_finds_nothing_there(site: Site, open_guest: Callable[..., Guest]) -> None:
    guest = open_guest(site, Look(), site.person(level=3))
    guest.expect_fault(REFUSED.format(404))
    for page in PAGES:
        answer = guest.page.goto(f"/admin{page}")
        assert answer
        assert answer.status == 404
        assert "Swiper" not in guest.page.title()


@pytest.mark.parametrize("language", LOCALES)
def test_no_page_of_the_desk_is_wider_than_a_phone(language: str, site: Site, open_guest: Callable[..., Guest]) -> None:
    guest = open_guest(site, Look("phone", language), site.operator)
    admin = AdminPages(guest)
    for width in (320, 390):
        guest.page.set_viewport_size({"width": width, "height": 700})
        for page in (*PAGES, f"/people/{site.operator.id}"):
            admin.open(page)
            assert guest.page.evaluate(OVERHANG) <= 0, page
