"""The own page: the card as others see it, pictures, preferences."""

import random
from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Locator, expect

from tests.browser.guests import Guest
from tests.browser.looks import BOTH, DEVICES, Look
from tests.browser.site import Person, Site

pytestmark = pytest.mark.browser

WIDE = (1200, 800)
# So slow that a picture of noise is on its way for some seconds.
SLOW_BYTES_PER_SECOND = 150_000
# More presses than the picture is wide; it stops at its edge.
ENOUGH_PRESSES = 60

# Keeps each length that the bar has had.
WATCH_BAR = """() => {
  window.lengths = new Set();
  const watch = (changes) => changes.forEach(({target}) => window.lengths.add(target.value));
  new MutationObserver(watch).observe(document.body, {subtree: true, attributeFilter: ['value']});
}"""
# Uploads pass by the service worker, which must not swallow their progress.
WAIT_FOR_WORKER = """() => new Promise((done) => {
  const look = () => (navigator.serviceWorker.controller ? done() : setTimeout(look, 50));
  look();
})"""


def picture(size: tuple[int, int] = WIDE) -> FilePayload:
    """A picture of noise, red in its left half and blue in its right one."""
    noise = Image.frombytes("L", size, random.Random(5).randbytes(size[0] * size[1]))
    nothing = Image.new("L", size)
    made = Image.merge("RGB", (noise, nothing, nothing))
    blue = Image.merge("RGB", (nothing, nothing, noise))
    half = (size[0] // 2, 0, *size)
    made.paste(blue.crop(half), half)
    kept = BytesIO()
    made.save(kept, "JPEG", quality=90)
    return {"name": "wide.jpg", "mimeType": "image/jpeg", "buffer": kept.getvalue()}


def slow_down(guest: Guest) -> None:
    """From now on the guest's line is slow in sending."""
    line = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": SLOW_BYTES_PER_SECOND}
    guest.context.new_cdp_session(guest.page).send("Network.emulateNetworkConditions", line)


def stored(site: Site, person: Person, url: str) -> Image.Image:
    """A picture as the server gives it."""
    with site.visit_as(person) as visitor:
        return Image.open(BytesIO(visitor.get(url).content)).convert("RGB")


def preview(guest: Guest) -> Locator:
    return guest.page.get_by_role("article", name=guest.text("profile.preview"))


@pytest.mark.parametrize("look", BOTH, ids=str)
def test_the_card_shows_what_is_typed_before_it_is_stored(
    look: Look, site: Site, open_guest: Callable[..., Guest]
) -> None:
    person = site.person()
    guest = open_guest(site, look, person)
    guest.show("me")
    nickname = f"新{person.nickname}"
    for key, text in {"nickname": nickname, "bio": "我<b>爬山</b>", "city": "拉萨东"}.items():
        guest.field(f"profile.{key}").fill(text)
        expect(preview(guest)).to_contain_text(text)
    assert site.get_as(person, "/api/user/profile")["nickname"] == person.nickname
    guest.button("profile.save").click()
    expect(guest.page.get_by_text(guest.text("profile.saved"))).to_be_visible()
    kept = site.get_as(person, "/api/user/profile")
    assert (kept["nickname"], kept["bio"], kept["location"]) == (nickname, "我<b>爬山</b>", "拉萨东")
    guest.page.reload()
    expect(preview(guest)).to_contain_text(nickname)


def test_a_nickname_that_somebody_has_is_refused_at_its_field(site: Site, open_guest: Callable[..., Guest]) -> None:
    other, person = site.person(), site.person()
    guest = open_guest(site, Look(), person)
    guest.expect_fault("status of 422")
    guest.show("me")
    field = guest.field("profile.nickname")
    field.fill(other.nickname)
    guest.button("profile.save").click()
    expect(field).to_have_attribute("aria-invalid", "true")
    assert site.get_as(person, "/api/user/profile")["nickname"] == person.nickname


@pytest.mark.parametrize("device", DEVICES)
def test_a_picture_is_cropped_and_sent_with_progress(device: str, site: Site, open_guest: Callable[..., Guest]) -> None:
    person = site.person()
    guest = open_guest(site, Look(device), person)
    guest.show("me")
    guest.page.get_by_label(guest.text("photo.change_avatar")).set_input_files(picture())
    crop = guest.page.get_by_role("dialog", name=guest.text("crop.title"))
    use = crop.get_by_role("button", name=guest.text("crop.use"))
    expect(use).to_be_enabled()
    # The middle of the picture has both colours; at its right edge all is blue.
    place = crop.get_by_role("group", name=guest.text("crop.place"))
    for _ in range(ENOUGH_PRESSES):
        place.press("ArrowLeft")
    slow_down(guest)
    guest.page.evaluate(WAIT_FOR_WORKER)
    guest.page.evaluate(WATCH_BAR)
    use.click()
    expect(crop.get_by_role("progressbar")).to_be_visible()
    expect(crop).to_have_count(0)
    expect(guest.page.get_by_text(guest.text("photo.stored"))).to_be_visible()
    lengths = guest.page.evaluate("() => [...window.lengths]")
    assert [length for length in lengths if 0 < length < 1], lengths
    url = site.get_as(person, "/api/user/profile")["avatar"]
    expect(preview(guest).get_by_role("img")).to_have_attribute("src", url)
    shown = stored(site, person, url)
    assert shown.width / shown.height == pytest.approx(3 / 4, abs=0.01)
    red, _, blue = shown.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert blue > 4 * red


def test_a_file_that_is_no_picture_is_refused_before_it_is_sent(site: Site, open_guest: Callable[..., Guest]) -> None:
    guest = open_guest(site, Look(), site.person())
    guest.show("me")
    sent: list[str] = []
    guest.page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    guest.page.get_by_label(guest.text("photo.add")).set_input_files(
        {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
    )
    crop = guest.page.get_by_role("dialog", name=guest.text("crop.title"))
    expect(crop.get_by_role("alert")).to_have_text(guest.text("crop.broken"))
    expect(crop.get_by_role("button", name=guest.text("crop.use"))).to_be_disabled()
    guest.page.keyboard.press("Escape")
    expect(crop).to_have_count(0)
    assert sent == []


def test_a_photo_is_added_to_the_album_and_deleted(site: Site, open_guest: Callable[..., Guest]) -> None:
    person = site.person()
    guest = open_guest(site, Look("desktop"), person)
    guest.show("me")
    guest.page.get_by_label(guest.text("photo.add")).set_input_files(picture((300, 400)))
    guest.page.get_by_role("dialog").get_by_role("button", name=guest.text("crop.use")).click()
    photo = guest.page.get_by_role("img", name=guest.text("photo.number", number=1))
    expect(photo).to_be_visible()
    expect(guest.page.get_by_text(guest.text("photo.album_count", count=1, most=9))).to_be_visible()
    guest.page.get_by_role("button", name=guest.text("photo.drop_number", number=1)).click()
    sure = guest.page.get_by_role("dialog", name=guest.text("photo.drop"))
    sure.get_by_role("button", name=guest.text("photo.drop")).click()
    expect(photo).to_have_count(0)
    assert site.get_as(person, "/api/user/profile")["photos"] == []


def test_ages_are_chosen_by_the_keys_of_both_sliders(site: Site, open_guest: Callable[..., Guest]) -> None:
    person = site.person(min_dating_age=20, max_dating_age=30)
    guest = open_guest(site, Look(), person)
    guest.open("/#/me/wishes")
    for key, presses in {"wishes.youngest": ["ArrowRight"] * 5, "wishes.oldest": ["ArrowLeft"] * 9}.items():
        for press in presses:
            guest.page.get_by_role("slider", name=guest.text(key)).press(press)
    # The upper bound never passes the lower one.
    expect(guest.page.get_by_text(guest.text("wishes.age_text", low=25, high=25))).to_be_visible()
    guest.button("profile.save").click()
    expect(guest.page.get_by_text(guest.text("wishes.saved"))).to_be_visible()
    kept = site.get_as(person, "/api/user/profile")
    assert (kept["min_dating_age"], kept["max_dating_age"]) == (25, 25)
