"""The pinned packages install with the pip that Python brings, and each command installs no more than it needs."""

from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from config.extras import MODULES
from config.settings import ROOT
from tests.audit.packages import LISTS, pinned

GROUPS = ROOT / "config/requirements"


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
    found = {*ROOT.glob("requirements*.txt"), *ROOT.glob("[a-z]*/requirements*.txt"), *GROUPS.glob("*.txt")}
    assert found == set(LISTS)


def test_all_lists_pin_the_same_version_of_a_package() -> None:
    versions: dict[str, set[Version]] = {}
    for path in LISTS:
        for name, version in pinned(path.read_text()).items():
            versions.setdefault(canonicalize_name(name), set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_each_group_of_packages_has_names_and_pins_and_is_looked_for_by_one_of_its_modules() -> None:
    assert {path.stem for path in GROUPS.glob("*.in")} == {path.stem for path in GROUPS.glob("*.txt")}
    # Nothing names the embedded server: `make run` takes the machine's where it is missing.
    assert {path.stem for path in GROUPS.glob("*.in")} == {*MODULES, "embedded"}
    owners = packages_distributions()
    for group, modules in MODULES.items():
        named = set(pins(GROUPS / f"{group}.txt"))
        assert all(named & set(map(canonicalize_name, owners[module])) for module in modules), group


def test_the_packages_that_a_setting_needs_are_not_among_those_for_everybody() -> None:
    always = set(pins(ROOT / "requirements.txt"))
    for path in GROUPS.glob("*.in"):
        named = {line.split()[0] for line in path.read_text().splitlines() if not line.startswith("#")}
        assert named.isdisjoint(always), path


def test_make_test_installs_no_browser_and_draws_nothing() -> None:
    installed = set(pins(ROOT / "requirements.txt")) | set(pins(ROOT / "tests/requirements.txt"))
    assert installed.isdisjoint({"playwright", "matplotlib", "numpy", "py-spy"})
