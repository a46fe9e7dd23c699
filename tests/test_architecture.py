"""Imports point one way, and none hides inside a function."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import ROOT

PACKAGE = ROOT / "swiper"
# Each group may import only what stands above it; parts of one line do not import each other.
ORDER = [
    ["ids", "characters", "clock", "errors", "logs", "outages", "redis_client", "signals", "tallies"],
    ["fastpath", "limit_storage", "redis_servers"],
    ["redis_cluster"],
    ["extensions"],
    ["db", "encryption"],
    ["cache", "site_marker"],
    ["http"],
    ["tasks"],
    ["backfills"],
    ["bans", "sms", "storage"],
    ["vip"],
    ["profiles"],
    ["auth"],
    ["social"],
    ["web"],
    ["robots"],
    ["admin"],
    ["commands", "hooks"],
    ["cli", "tracing"],
    ["__init__"],
]
RANK = {part: rank for rank, group in enumerate(ORDER) for part in group}
INSIDE = ["models", "queries", "services", "schemas", "tasks", "routes"]
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(module: str) -> str:
    """The entry of ORDER that a module belongs to; `module` begins behind `swiper.`."""
    return module.split(".")[0]


def own_part(path: Path) -> str:
    return part_of(".".join(path.relative_to(PACKAGE).with_suffix("").parts))


def imported_parts(tree: ast.AST) -> set[str]:
    """Parts of swiper that a module imports, by `import swiper.x` or `from swiper[.x] import y`."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "swiper":
            found |= {part_of(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("swiper."):
            module = (node.module or "").removeprefix("swiper.")
            found |= {part_of(f"{module}.{alias.name}") for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {
                part_of(alias.name.removeprefix("swiper.")) for alias in node.names if alias.name.startswith("swiper.")
            }
    return found


def test_every_part_has_a_place_in_the_order() -> None:
    assert {own_part(path) for path in FILES} == set(RANK)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = own_part(path)
    wrong = {part for part in imported_parts(ast.parse(path.read_text())) if part != own and RANK[part] >= RANK[own]}
    assert not wrong, f"{own} may not import {wrong}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_import_hides_in_a_function(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert not any(isinstance(inner, ast.Import | ast.ImportFrom) for inner in ast.walk(node)), node.name


@pytest.mark.parametrize("feature", ["bans", "vip", "profiles", "auth", "social", "web", "admin"])
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


def is_query_module(path: Path) -> bool:
    return "queries" in path.relative_to(PACKAGE).with_suffix("").parts


@pytest.mark.parametrize(
    "path", list(filter(is_query_module, FILES)), ids=lambda path: ".".join(path.relative_to(PACKAGE).parts)
)
def test_queries_know_of_their_feature_the_models_alone(path: Path) -> None:
    feature = own_part(path)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"swiper.{feature}"):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            inner = next(name.split(".")[2] for name in names if name and name.count(".") > 1)
            assert inner in ("models", "queries"), f"{path.name} may not import {inner}"


def test_only_hooks_routes_and_permission_checks_see_the_request() -> None:
    allowed = {"hooks.py", "routes.py", "permissions.py", "responses.py", "page_cache.py"}
    # These two keep what was read together with the session for the same request, the third has short names for both.
    allowed |= {"sessions.py", "profiles.py", "extensions.py"}
    # It loads the input of each view.
    allowed.add("blueprints.py")
    for path in FILES:
        # The desk has a module of views for each of its pages.
        if path.name in allowed or path.parent.name == "views":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in ("flask", "swiper.extensions"):
                seen = {alias.name for alias in node.names} & {"request", "session", "g", "this_request", "this_g"}
                assert not seen, f"{path.name} sees {seen}"


# What writes or runs SQL: functions of SQLAlchemy and of `swiper/db`, and methods of the session.
BUILDERS = {
    "sqlalchemy": {"select", "text", "insert", "update", "delete", "exists", "union", "union_all"},
    "swiper.db.statements": {"Statement"},
    "swiper.db.upsert": {"upsert", "insert_if_absent", "changed_a_row", "bulk_insert"},
}
SESSION_METHODS = {
    f"db.session.{name}" for name in ("execute", "scalar", "scalars", "get", "get_one", "query", "merge", "refresh")
}


def sql_in(tree: ast.AST) -> Iterator[str]:
    """What a module has of the names above."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from {alias.name for alias in node.names} & BUILDERS.get(node.module or "", set())
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("db.session", "db.session()"):
            yield from {f"db.session.{node.attr}"} & SESSION_METHODS


def test_sql_stands_in_queries_alone() -> None:
    found = {}
    for path in FILES:
        inner = path.relative_to(PACKAGE).with_suffix("").parts
        if inner[0] == "db" or is_query_module(path):
            continue
        if names := sorted(set(sql_in(ast.parse(path.read_text())))):
            found[".".join(inner)] = names
    assert found == {}, "only `queries` modules and swiper/db may hold SQL"
