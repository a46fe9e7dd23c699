"""All pages are built for keyboards, screen readers and the Content-Security-Policy."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from config.settings import ROOT
from tests.admin.conftest import AdminClient
from tests.factories import People

TEMPLATES = sorted((ROOT / "swiper/admin/templates").rglob("*.html"))
PAGES = ["", "/people", "/bans", "/levels", "/sales", "/orders", "/actions"]


class Page(HTMLParser):
    """What matters to those who do not see a page, and to its policy."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.inputs: list[str | None] = []
        self.faults: list[str] = []
        self.landmarks: list[str] = []
        self.inside_label = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.note_structure(tag, found)
        self.note_faults(tag, found)

    def note_structure(self, tag: str, found: dict[str, str | None]) -> None:
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag in ("main", "nav", "header"):
            self.landmarks.append(tag)
        if found.get("id"):
            self.ids.append(found["id"] or "")
        if tag == "label":
            self.inside_label = True
            self.labelled.add(found.get("for") or "")
        is_hidden = found.get("type") == "hidden"
        if tag in ("input", "select", "textarea") and not is_hidden and not self.inside_label:
            self.inputs.append(found.get("id"))

    def note_faults(self, tag: str, found: dict[str, str | None]) -> None:
        if "style" in found or any(name.startswith("on") for name in found):
            self.faults.append(f"{tag} has a style or a script in its attributes")
        if tag == "style" or (tag == "script" and not found.get("src")):
            self.faults.append(f"{tag} is inline")
        if tag == "img" and not found.get("alt"):
            self.faults.append("a picture without words")
        for name in ("src", "href", "action"):
            if not (found.get(name) or "/").startswith(("/", "#")):
                self.faults.append(f"{found[name]} leaves this machine")

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self.inside_label = False


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_is_built_for_keyboards_screen_readers_and_the_policy(
    people: People, admin: AdminClient, language: str
) -> None:
    person = people.add(vip=1)
    order = person.post("/api/vip/orders", level=1, months=1).json["data"]["id"]
    suspended = people.add()
    admin.change(f"/admin/people/{suspended.id}/suspend", reason="x")
    admin.change("/admin/bans", network="203.0.113.9")
    for path in [*PAGES, f"/people/{person.id}", f"/people/{suspended.id}", f"/people/{admin.id}", f"/orders/{order}"]:
        text = admin.read(f"/admin{path}", lang=language)
        page = Page(text)
        assert text.startswith("<!doctype html>")
        assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in text
        assert page.faults == [], path
        assert page.headings[0] == 1, path
        assert page.headings.count(1) == 1, path
        assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False)), path
        assert len(page.ids) == len(set(page.ids)), path
        assert set(page.inputs) <= page.labelled, path
        assert page.landmarks.count("main") == 1
        assert 'class="skip" href="#main"' in text
        assert page.ids.count("main") == 1


def test_assets_are_our_own_with_the_licence_beside_them(admin: AdminClient) -> None:
    folder = ROOT / "swiper/admin/static"
    for name in ("admin.css", "charts.js", "vendor/uplot-1.6.32.js", "vendor/uplot-1.6.32.css"):
        with admin.get(f"/admin/static/{name}") as answer:
            assert answer.status_code == 200, name
        text = (folder / name).read_text()
        assert not re.search(r"(?:import|from|url)\s*\(?[\"']https?:", text), name
    assert "MIT License" in (folder / "vendor/uplot-LICENSE.txt").read_text()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_asset_that_a_page_names_is_there(template: Path) -> None:
    for name in re.findall(r"url_for\(\"admin\.static\", filename=\"([^\"]+)\"\)", template.read_text()):
        assert (ROOT / "swiper/admin/static" / name).is_file(), name


def test_every_token_that_the_desk_uses_is_one_of_the_shared_ones() -> None:
    shared = set(re.findall(r"(--[\w-]+):", (ROOT / "swiper/web/static/tokens.css").read_text()))
    for name in ("admin.css", "charts.js"):
        used = set(re.findall(r"--[a-z][\w-]*", (ROOT / "swiper/admin/static" / name).read_text()))
        assert used, name
        assert used - shared == set(), name
