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


def test_the_environment_is_made_with_the_python_that_the_project_requires() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.findall(r"^PYTHON \?= python(.*)$", makefile, re.MULTILINE) == [
        PROJECT["requires-python"].removeprefix(">=")
    ]


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
