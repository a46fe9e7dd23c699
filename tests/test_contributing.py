"""CONTRIBUTING.md tells the truth: its files and names exist, and no example takes more files than it may."""

import ast
import re
import textwrap
from importlib import import_module

import pytest

from config.settings import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
# By heading: how many files the change may take.
EXAMPLES = {"A column of the card": 5, "In Swiper": 4, "A task": 2, "An endpoint": 5}
FILE = re.compile(r"(?:[\w-]+/)+[\w.-]*|[\w-]+\.(?:md|py|example)|\.env\.example")


def section(heading: str) -> str:
    """The text below a heading, up to the next one."""
    found = re.search(rf"^#+ {heading}\n(.*?)(?=^#|\Z)", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL), re.M | re.S)
    assert found is not None, heading
    return found[1]


def python_blocks() -> list[str]:
    """Its Python, example by example."""
    return [textwrap.dedent(block) for block in re.findall(r"^ *```python\n(.*?)^ *```$", TEXT, re.M | re.S)]


def test_every_file_that_it_names_exists_or_is_new() -> None:
    quoted = {name for name in re.findall(r"`([^`\s]+)`", TEXT) if FILE.fullmatch(name)}
    links = set(re.findall(r"\]\(([^)#]+)\)", TEXT))
    new = set(re.findall(r"`([^`]+)` \(new\)", TEXT))
    assert len(quoted) > 20
    assert {name for name in quoted | links if not (ROOT / name).exists()} == new


@pytest.mark.parametrize("heading", EXAMPLES)
def test_no_example_takes_more_files_than_it_may(heading: str) -> None:
    steps = re.findall(r"^(\d+)\. `([^`]+)`", section(heading), re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    assert 1 < len({name for _, name in steps}) <= EXAMPLES[heading]


def test_its_code_is_python_and_imports_what_there_is() -> None:
    blocks = python_blocks()
    assert len(blocks) > 10
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                assert node.module is not None
                assert {alias.name for alias in node.names} <= set(vars(import_module(node.module)))


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("swiper/profiles/models.py", ["CARD_COLUMNS"]),
        ("swiper/profiles/profiles.py", ["Account"]),
        ("swiper/profiles/schemas.py", ["ProfileIn", "CardOut"]),
        ("tests/profiles/test_profiles.py", ["CARD", "CHANGES"]),
        ("config/providers.py", ["SMS_PROVIDERS", "required_by_providers"]),
        ("swiper/sms/base.py", ["SmsProvider"]),
        ("config/schedule.py", ["BEAT_SCHEDULE", "every"]),
        ("swiper/tasks/queue.py", ["enqueue", "sweep", "only_one"]),
        ("swiper/http/view_marks.py", ["doc"]),
    ],
)
def test_what_it_names_is_defined_in_the_file_it_says(file: str, names: list[str]) -> None:
    assert f"`{file}`" in TEXT
    for name in names:
        assert re.search(rf"\b{name}\b", TEXT), name
        assert re.search(rf"^\s*(?:def {name}\(|class {name}\b|{name}\b.* = )", (ROOT / file).read_text(), re.M), name
