"""The web client's texts: both languages say everything, and nothing is said outside of them."""

import json
import re
from pathlib import Path

import pytest

from swiper.robots.seeding import CITIES
from swiper.web.regions import PATH, regions_text
from swiper.web.shell import LANGUAGES, STATIC, catalogue

TEMPLATES = STATIC.parent / "templates"
SCRIPTS = sorted((STATIC / "app").rglob("*.js"))
# What a page shows to people; Swagger UI's frame has no text of ours.
SOURCES = [*SCRIPTS, STATIC / "look-first.js", TEMPLATES / "index.html", TEMPLATES / "sw.js"]
CHINESE = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")
KEY = re.compile(r'"([a-z]+\.[a-z_]+)"')
PLACEHOLDER = re.compile(r"\{(\w+)\}")
# Brands and words that are the same everywhere.
SAME_EVERYWHERE = {"app.name", "card.vip", "settings.en", "settings.zh"}


def name_of(path: Path) -> str:
    return str(path.relative_to(STATIC.parent))


def keys_used() -> dict[str, set[str]]:
    """Every quoted word that looks like a key of one of the catalogue's sections, with the files that it stands in."""
    sections = {key.partition(".")[0] for key in catalogue("en")}
    used: dict[str, set[str]] = {}
    for path in SOURCES:
        for key in KEY.findall(path.read_text()):
            if key.partition(".")[0] in sections and not key.endswith(".js"):
                used.setdefault(key, set()).add(name_of(path))
    return used


def without_code(template: str) -> str:
    """A template literal's text without what is filled in, however deep it is nested."""
    depth, kept, position = 0, [], 0
    while position < len(template):
        if template.startswith("${", position):
            depth, position = depth + 1, position + 2
            continue
        character = template[position]
        if depth and character in "{}":
            depth += 1 if character == "{" else -1
        elif not depth:
            kept.append(character)
        position += 1
    return "".join(kept)


def templates_of(source: str) -> list[str]:
    """The text of each html template, those inside others included."""
    found = []
    for match in re.finditer(r"html`", source):
        depth, position = 0, match.end()
        while position < len(source) and (depth or source[position] != "`"):
            if source.startswith("${", position):
                depth, position = depth + 1, position + 1
            elif depth and source[position] in "{}":
                depth += 1 if source[position] == "{" else -1
            position += 1
        found.append(without_code(source[match.end() : position]))
    return found


def spoken(markup: str) -> list[str]:
    """Words between tags, and in the attributes that are read out."""
    texts = re.findall(r">([^<>]*)<", f">{markup}<")
    texts += re.findall(r'(?:aria-label|title|alt|placeholder)="([^"]+)"', markup)
    return [text.strip() for text in texts if re.search(r"[A-Za-z]{2}", text)]


def test_both_languages_have_the_same_keys_in_order() -> None:
    keys = [list(catalogue(language)) for language in LANGUAGES]
    assert keys[0] == keys[1] == sorted(keys[0])


def test_both_languages_fill_in_the_same_places() -> None:
    english, chinese = (catalogue(language) for language in LANGUAGES)
    differing = [
        key for key in english if set(PLACEHOLDER.findall(english[key])) != set(PLACEHOLDER.findall(chinese[key]))
    ]
    assert differing == []


def test_chinese_is_chinese_and_english_is_english() -> None:
    english, chinese = (catalogue(language) for language in LANGUAGES)
    assert [key for key in chinese if not CHINESE.search(chinese[key]) and key not in SAME_EVERYWHERE] == []
    assert [key for key in english if CHINESE.search(english[key]) and key not in SAME_EVERYWHERE] == []


def test_every_text_that_is_used_is_in_the_catalogue() -> None:
    missing = {key: files for key, files in keys_used().items() if key not in catalogue("en")}
    assert missing == {}


def test_every_text_of_the_catalogue_is_used() -> None:
    assert set(catalogue("en")) - set(keys_used()) == set()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_text_stands_outside_the_catalogue(path: Path) -> None:
    source = path.read_text()
    assert CHINESE.findall(source) == []
    markups = [source] if path.suffix == ".html" else templates_of(source)
    said = [text for markup in markups for text in spoken(re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", markup))]
    # The title stands there until the texts are loaded.
    assert [text for text in said if text != "Swiper"] == []


def test_the_search_for_stray_texts_finds_them() -> None:
    source = 'html`<p class="note">Hello ${name ? html`<b>deep down</b>` : ""}</p><i title="also this"></i>`'
    assert [text for markup in templates_of(source) for text in spoken(markup)] == ["Hello", "also this", "deep down"]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_script_or_style_stands_inside_markup(path: Path) -> None:
    source = path.read_text()
    assert (
        re.findall(r"\son[a-z]+=[\"']|javascript:|innerHTML|dangerouslySetInnerHTML|\beval\(|new Function", source)
        == []
    )
    assert re.findall(r"\sstyle=|<style|<script>", source) == []


def test_the_countries_are_those_of_the_phone_library() -> None:
    assert PATH.read_text() == regions_text(), "run `python -m swiper.web.regions`"


def test_the_suggested_cities_are_those_where_the_robots_live() -> None:
    source = (STATIC / "app/cities.js").read_text()
    pairs = {key: json.loads(f'"{city}"') for key, city in re.findall(r'"(city\.\w+)": "([^"]+)"', source)}
    assert set(pairs.values()) == set(CITIES)
    assert all(catalogue("zh")[key] == city for key, city in pairs.items())
