"""That the check of wheels asks for each package and finds the one that lacks a wheel."""

import os
from pathlib import Path

import pytest

from config.settings import ROOT
from tests.audit import wheels
from tests.audit.wheels import Asking, write_parts
from tests.test_requirements import pins

LIST = """\
#
# made by a program
#
one==1.0 ; python_version < "3.14" \\
    --hash=sha256:aa \\
    --hash=sha256:ab
    # via -r requirements.in
two[extra]==2.0 \\
    --hash=sha256:bb
    # via
    #   one
    #   -r requirements.in

# The following packages are considered to be unsafe in a requirements file:
three==3.0 \\
    --hash=sha256:cc
"""
# Finds wheels for all but `two` on arm64, in a list of any length.
UV = """#!/bin/sh
for last in "$@"; do :; done
case "$*" in
  *"--only-binary :all:"*"--python-platform aarch64-"*) ;;
  *) exit 0 ;;
esac
grep -q ^two "$last" || exit 0
echo "two has no wheel" >&2
exit 1
"""


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "list.txt"
    path.write_text(LIST)
    return path


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    uv = tmp_path / "uv"
    uv.write_text(UV)
    uv.chmod(0o755)
    monkeypatch.setattr(wheels, "find_uv", lambda: str(uv))
    monkeypatch.setattr(wheels, "uv_settings", lambda *lists: (dict(os.environ), []))
    return Asking()


def test_a_list_falls_into_its_packages_with_their_hashes(listed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    parts = {part.stem: part.read_text() for part in write_parts(listed, folder)}
    assert parts == {
        "one": 'one==1.0 ; python_version < "3.14" \\\n    --hash=sha256:aa \\\n    --hash=sha256:ab',
        "two[extra]": "two[extra]==2.0 \\\n    --hash=sha256:bb",
        "three": "three==3.0 \\\n    --hash=sha256:cc",
    }


@pytest.mark.parametrize("path", wheels.LISTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_package_of_our_lists_is_left_out(path: Path, tmp_path: Path) -> None:
    parts = list(write_parts(path, tmp_path))
    assert len(parts) == len(pins(path))
    assert sum(part.read_text().count("--hash=") for part in parts) == path.read_text().count("--hash=")


def test_a_package_without_a_wheel_is_named(asking: Asking, listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "LISTS", (listed,))
    monkeypatch.setattr(wheels, "BUILT", ())
    assert asking.lacking("3.12", "Linux x86-64") == []
    assert asking.lacking("3.12", "macOS arm64") == ["two[extra]: two has no wheel"]
    # It is known, but not where there is a wheel.
    monkeypatch.setattr(wheels, "BUILT", (("two", "3.1[23]", "macOS *", "needs a compiler"), ("four", "*", "*", "")))
    assert asking.lacking("3.12", "macOS arm64") == []
    assert asking.lacking("3.11", "macOS arm64") == ["two[extra]: two has no wheel"]
    monkeypatch.setattr(wheels, "BUILT", (("two", "*", "*", "needs a compiler"),))
    assert asking.lacking("3.12", "Linux x86-64") == ["two[extra]: has a wheel now"]


def test_each_package_that_is_built_from_source_is_in_a_list() -> None:
    assert {package for package, *_ in wheels.BUILT} <= {name for path in wheels.LISTS for name in pins(path)}


def test_the_table_has_each_combination_and_fails_with_what_lacks(
    asking: Asking, listed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wheels, "LISTS", (listed,))
    monkeypatch.setattr(wheels, "BUILT", (("one", "3.9", "*", "needs a compiler"),))
    assert wheels.main() == 1
    told = capsys.readouterr()
    assert [line.split() for line in told.out.splitlines()] == [
        ["3.11", "3.12", "3.13", "3.14"],
        ["Linux", "x86-64", *["all"] * 4],
        ["Linux", "arm64", *["1", "wrong"] * 4],
        ["macOS", "arm64", *["1", "wrong"] * 4],
        ["built", "from", "source", "(Python", "3.9,", "*):", "one", "needs", "a", "compiler"],
    ]
    assert "macOS arm64, Python 3.14: two[extra]: two has no wheel" in told.err
    monkeypatch.setattr(wheels, "PLATFORMS", {"Linux x86-64": "x86_64-manylinux_2_28"})
    assert wheels.main() == 0


def test_without_uv_nothing_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "find_uv", lambda: None)
    assert wheels.main() == 1
