"""What stands in the project's own files agrees with the program."""

import re
import tomllib

import yaml
from flask import Flask

from config.settings import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_of_the_api_is_that_of_the_project(app: Flask) -> None:
    assert app.test_client().get("/openapi.json").json["info"]["version"] == PROJECT["version"]


def test_the_changelog_tells_this_version_below_what_is_unreleased() -> None:
    versions = re.findall(r"^## \[([^]]+)\](?: - \d{4}-\d\d-\d\d)?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[:2] == ["Unreleased", PROJECT["version"]]


def test_every_file_names_the_same_versions_of_python() -> None:
    versions = [f"3.{minor}" for minor in range(11, 15)]
    assert PROJECT["requires-python"] == ">=3.11,<3.15"
    named = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if "Python :: 3." in name]
    assert named == versions
    search = (ROOT / "deploy/find_python.sh").read_text()
    assert re.findall(r"python(3\.\d+)", search) == versions[::-1]
    assert "(3, 11) <= found <= (3, 14)" in search
    for name in ("README.md", "README.zh.md"):
        assert re.search(r"Python 3\.11 (to|至) 3\.14", (ROOT / name).read_text())


def test_hooks_before_a_commit_are_the_commands_of_make_lint_and_fetch_nothing() -> None:
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert {repository["repo"] for repository in repositories} == {"local"}
    hooks = [hook for repository in repositories for hook in repository["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    lint = [line.replace("$(BIN)", ".venv/bin").removesuffix(" .") for line in recipe[1].split("\n\t")]
    assert [hook["entry"].removesuffix(" --force-exclude") for hook in hooks] == [
        line.strip().removesuffix(" .") for line in lint
    ]
