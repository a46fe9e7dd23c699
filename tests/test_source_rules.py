"""Rules that the source itself keeps: no feature knows its database, and what is not stock has one home."""

import ast
import inspect
import re
import tomllib
from pathlib import Path

from apiflask import APIFlask
from flask import Flask

from config.settings import ROOT

PACKAGE = ROOT / "swiper"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
DATABASE_NAME = re.compile(r"postgres|psycopg|mysql|mariadb|sqlite|dialect", re.IGNORECASE)
# `extensions.py` has the options of every table, which each database takes by its own name.
KNOWS_DATABASES = ("db/", "fastpath/", "extensions.py")


def code_of(path: Path) -> str:
    """A module without its comments and docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[:1] = [ast.Pass()]
    return ast.unparse(tree)


def holders(pattern: str) -> set[str]:
    """The modules of swiper/ whose code has the pattern."""
    return {name for name, path in FILES.items() if re.search(pattern, code_of(path))}


def test_no_part_above_the_database_names_one() -> None:
    found = {}
    for name, path in FILES.items():
        if not name.startswith(KNOWS_DATABASES) and (lines := DATABASE_NAME.findall(code_of(path))):
            found[name] = lines
    assert found == {}


def test_only_databases_and_the_redis_client_are_built_on_the_fast_paths() -> None:
    users = {name for name in holders(r"\bswiper\.fastpath\b") if not name.startswith("fastpath/")}
    assert {name.partition("/")[0] for name in users} == {"db", "extensions.py"}


def test_private_names_are_refused_everywhere_but_in_the_fast_paths_and_tests() -> None:
    lint = PROJECT["tool"]["ruff"]["lint"]
    assert "SLF001" in lint["select"]
    assert "SLF001" not in lint["ignore"]
    may = {place for place, rules in lint["per-file-ignores"].items() if {"SLF001", "SLF", "ALL"} & set(rules)}
    assert may == {"tests/*", "swiper/fastpath/*"}
    sources = [path for part in PROJECT["tool"]["mypy"]["files"] for path in (ROOT / part).rglob("*.py")]
    assert len(sources) > 200
    assert [path for path in sources if re.search(r"noqa(?!:)|noqa:.*SLF001", path.read_text())] == []


def test_types_are_checked_strictly() -> None:
    mypy = PROJECT["tool"]["mypy"]
    assert mypy["strict"]
    assert {"swiper", "config"} <= set(mypy["files"])
    assert not {"exclude", "ignore_errors", "disable_error_code"} & set(mypy)
    own = [each for each in mypy["overrides"] if any(name.startswith(("swiper", "config")) for name in each["module"])]
    # Celery's decorators carry no types; nothing else is loosened for a module of ours.
    assert [set(each) for each in own] == [{"module", "disallow_untyped_decorators"}]


def test_flask_dispatches_requests_by_its_own_methods(app: Flask) -> None:
    assert type(app) is APIFlask
    # These are Flask's documented places for a class of requests, for middleware, and for how async views run.
    documented = {"request_class", "wsgi_app", "ensure_sync"}
    assert {name for name in vars(app) if callable(getattr(Flask, name, None))} <= documented


def test_no_view_and_no_hook_is_async(app: Flask) -> None:
    hooks = [each for found in (app.before_request_funcs, app.after_request_funcs) for each in found.values()]
    functions = [*app.view_functions.values(), *(hook for each in hooks for hook in each)]
    assert len(functions) > 50
    assert not [each for each in functions if inspect.iscoroutinefunction(inspect.unwrap(each))]


def test_what_waits_to_be_sent_together_waits_in_one_place() -> None:
    assert holders(r"\bspawn_later\b|\bTimer\(") == {"tasks/batcher.py"}


def test_one_watchdog_counts_how_long_a_server_is_silent() -> None:
    assert holders(r"\bloop\.timer\b") == {"fastpath/watchdog.py"}
