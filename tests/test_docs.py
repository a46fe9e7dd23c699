"""The pages name what there is: files, commands, settings, and names of the code."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from flask import Flask

from config.settings import ROOT

HEADS = [ROOT / "bench/head.md", ROOT / "chaos/head.md", ROOT / "chaos/engines/head.md"]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "deploy/ha/README.md", *HEADS]
# The worked examples name files and settings that are to be made; tests/test_contributing.py reads them.
WITHOUT_EXAMPLES = [page for page in PAGES if page.name != "CONTRIBUTING.md"]
FOLDERS = "swiper|config|tests|deploy|bench|chaos|migrations|nginx|docs"
# Names of Citus, PostgreSQL, SQLAlchemy, and of Prometheus and its exporters, that nothing here uses.
FOREIGN = {"citus_add_node", "statement_timeout", "pool_pre_ping", "scrape_configs", "job_name", "static_configs"}
FOREIGN |= {"rule_files", "OTEL_EXPORTER_OTLP_HEADERS", "pg_stat_activity", "synchronous_standby_names"}
FOREIGN |= {f"{name}_exporter" for name in ("redis", "postgres", "mysqld", "node", "blackbox")}
# `eval_once`, `CODE_TTL_SECONDS`, `SmsProvider`.
NAME = re.compile(r"\b(?:[A-Za-z]\w*_\w*|[A-Z][a-z]+[A-Z]\w+)\b")


def spans(page: Path) -> list[str]:
    """What a page has between backticks, and the lines of its blocks of code."""
    text = page.read_text()
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```$", text, re.M | re.S)
    prose = re.sub(r"^ *```\w*\n.*?^ *```$", "", text, flags=re.M | re.S)
    return [*re.findall(r"`([^`\n]+)`", prose), *(line for block in blocks for line in block.splitlines())]


@cache
def words_of_the_code() -> frozenset[str]:
    """Every word of every file that git knows, and the files' names; not the words of the pages."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    words: set[str] = set()
    for name in listed.splitlines():
        path = ROOT / name
        words.add(path.stem)
        if path.suffix not in {".md", ".png", ".svg"} and path.is_file():
            words |= set(re.findall(r"\w+", path.read_text(errors="ignore")))
    return frozenset(words)


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def ids(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", WITHOUT_EXAMPLES, ids=ids)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = {name for span in spans(page) for name in re.findall(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./-]*\w", span)}
    assert {name for name in named if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_and_picture_of_a_page_leads_to_a_file_and_its_heading(page: Path) -> None:
    # The heads of generated pages are read in docs/.
    folder = ROOT / "docs" if page.name == "head.md" else page.parent
    wanted = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)|src=\"([^\"]+)\"", page.read_text())
    for link, heading, picture in wanted:
        target = folder / (link or picture) if link or picture else page
        assert target.is_file(), target
        assert not heading or heading in headings(target), f"{target} has no heading {heading}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {name for span in spans(page) for name in re.findall(r"\bmake ([a-z-]+)", span)} <= targets


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_flask_command_that_a_page_names_exists(page: Path, app: Flask) -> None:
    commands = {*app.cli.commands, "run", "shell", "routes"}
    assert {name for span in spans(page) for name in re.findall(r"\bflask ([a-z-]+)", span)} <= commands


@pytest.mark.parametrize("page", WITHOUT_EXAMPLES, ids=ids)
def test_every_setting_and_name_that_a_page_quotes_stands_in_the_code(page: Path) -> None:
    quoted = {name for span in spans(page) for name in NAME.findall(span)}
    assert quoted - words_of_the_code() - FOREIGN == set()
