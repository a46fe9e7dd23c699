"""The pinned packages install with the pip that Python brings, and each command installs no more than it needs."""

from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from config.settings import ROOT
from tests.audit.packages import LISTS


def pins(path: Path) -> dict[str, set[str]]:
    """Package and named extras of each line `name[extra]==version`."""
    lines = [line.rstrip(" \\") for line in path.read_text().splitlines() if "==" in line and not line.startswith(" ")]
    return {canonicalize_name(pin.name): pin.extras for pin in map(Requirement, lines)}


def wanted_extras(names: Iterable[str]) -> dict[str, set[str]]:
    """The extras that the installed packages of these names require of others."""
    wanted: dict[str, set[str]] = {}
    for name in names:
        with suppress(PackageNotFoundError):
            for needed in map(Requirement, requires(name) or []):
                if needed.extras and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
                    wanted.setdefault(canonicalize_name(needed.name), set()).update(needed.extras)
    return wanted


@pytest.mark.parametrize(
    ("name", "known"), [("requirements.txt", {"pydantic"}), ("tests/requirements.txt", {"cachecontrol"})]
)
def test_the_packages_that_others_require_with_an_extra_are_known(name: str, known: set[str]) -> None:
    assert known <= set(wanted_extras(pins(ROOT / name)))


@pytest.mark.parametrize("path", LISTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_pin_names_every_extra_that_another_package_requires(path: Path) -> None:
    # A pip before 23.3 refuses a package with an extra where only the package without it is pinned with a hash.
    named = pins(path)
    wanted = wanted_extras(named)
    assert {package: extras - named[package] for package, extras in wanted.items() if extras - named[package]} == {}


def test_the_audit_reads_every_list_of_pins() -> None:
    assert {*ROOT.glob("requirements*.txt"), *ROOT.glob("[a-z]*/requirements*.txt")} == set(LISTS)


def test_make_test_installs_no_browser_and_draws_nothing() -> None:
    installed = set(pins(ROOT / "requirements.txt")) | set(pins(ROOT / "tests/requirements.txt"))
    assert installed.isdisjoint({"playwright", "matplotlib", "numpy", "py-spy"})
