"""Imports point one way, and none hides inside a function."""

import ast
from pathlib import Path

import pytest

from config.settings import ROOT

PACKAGE = ROOT / "swiper"
# Each part may import only what stands to its left; parts of one group do not import each other.
ORDER = [
    ["messages", "logs", "ids", "characters", "signals", "outages", "cache_backends", "lines", "dispatch", "languages"],
    ["redis_line", "quick_postgres", "memcached"],
    ["quick_redis", "postgres_line"],
    ["errors"],
    ["multipart"],
    ["bodies"],
    ["extensions", "security_log"],
    ["tasking"],
    ["responses", "schemas", "dialect"],
    ["pending"],
    ["memo"],
    ["invalidations"],
    ["engines"],
    ["pages", "blueprints"],
    ["bans", "sms", "storage"],
    ["vip"],
    ["auth"],
    ["social"],
    ["web"],
    ["headers"],
    ["celery", "hooks", "robots"],
    ["desk"],
    ["commands"],
    ["cli", "document"],
    ["__init__"],
]
RANK = {part: rank for rank, group in enumerate(ORDER) for part in group}
INSIDE = ["models", "services", "schemas", "tasks", "routes"]
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(tree: ast.AST) -> set[str]:
    """Parts of swiper that a module imports, by `import swiper.x` or `from swiper[.x] import y`."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "swiper":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("swiper."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("swiper.")}
    return found


def test_every_part_has_a_place_in_the_order() -> None:
    assert {part_of(path) for path in FILES} == set(RANK)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = part_of(path)
    wrong = {part for part in imported_parts(ast.parse(path.read_text())) if part != own and RANK[part] >= RANK[own]}
    assert not wrong, f"{own} may not import {wrong}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_import_hides_in_a_function(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert not any(isinstance(inner, ast.Import | ast.ImportFrom) for inner in ast.walk(node)), node.name


@pytest.mark.parametrize("feature", ["bans", "vip", "auth", "social", "web", "desk"])
def test_a_feature_points_from_models_to_routes(feature: str) -> None:
    files = {name: PACKAGE / feature / f"{name}.py" for name in INSIDE}
    for rank, name in enumerate(INSIDE):
        if not files[name].exists():
            continue
        for node in ast.walk(ast.parse(files[name].read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == f"swiper.{feature}":
                later = {alias.name for alias in node.names} & set(INSIDE[rank + 1 :])
                assert not later, f"{feature}.{name} may not import {later}"
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"swiper.{feature}."):
                inner = (node.module or "").split(".")[2]
                assert inner not in INSIDE[rank + 1 :], f"{feature}.{name} may not import {inner}"


def test_only_hooks_routes_and_permission_checks_see_the_request() -> None:
    allowed = {"hooks.py", "routes.py", "permissions.py", "responses.py", "pages.py"}
    # These two keep what was read together with the session for the same request, the third has short names for both.
    allowed |= {"sessions.py", "memo.py", "extensions.py"}
    for path in FILES:
        # The desk has a module of views for each of its pages.
        if path.name in allowed or path.parent.name == "views":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in ("flask", "swiper.extensions"):
                seen = {alias.name for alias in node.names} & {"request", "session", "g", "this_request", "this_g"}
                assert not seen, f"{path.name} sees {seen}"
