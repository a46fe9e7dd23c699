"""The statements that the application issues on SQLite, which takes the portable way, and who issues them.

`recording` judges each of them by the distribution rule; those that tests issue by themselves count for nothing.
`sweeps` has those that look everywhere.
"""

import ast
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from config.settings import ROOT
from swiper.db.sql import IN_LIST
from swiper.db.statements import Statement
from swiper.db.watches import about_to_run
from tests.bound_columns import Breach
from tests.distribution import broken_rules

# As many values as a caller happens to ask for make no other statement.
MANY_VALUES = re.compile(r"\((?:\?, ){2,}\?\)")
MANY_ROWS = re.compile(r"(\((?:\?, )*\?\))(?:, \1)+")


@dataclass
class Broken:
    """A statement that breaks rules, and the function of the application that issued it."""

    issuer: str
    statement: str
    breaches: list[Breach]

    def __str__(self) -> str:
        return f"{self.issuer} {', and '.join(map(str, self.breaches))}:\n{self.statement}"


_judged: dict[tuple[str, bool, bool], list[Breach]] = {}


@contextmanager
def recording(broken: list[Broken]) -> Iterator[None]:
    """Add to `broken` what the application issues meanwhile on SQLite, in any thread, and what breaks a rule."""

    def judge(statement: str, *, is_locking: bool, is_everywhere: bool) -> None:
        key = (statement, is_locking, is_everywhere)
        if key not in _judged:
            _judged[key] = broken_rules(statement, is_locking=is_locking, is_everywhere=is_everywhere)
        if _judged[key] and (issuer := issuer_of(sys._getframe(2))):
            broken.append(Broken(issuer, statement, _judged[key]))

    def judge_sqlalchemys(connection: Any, _cursor: Any, sql: str, _parameters: Any, context: Any, _many: bool) -> None:
        if connection.dialect.name == "sqlite":
            source = getattr(getattr(context, "compiled", None), "statement", None)
            is_locking = getattr(source, "_for_update_arg", None) is not None
            short = MANY_ROWS.sub(r"\1", MANY_VALUES.sub("(?, ?)", sql))
            is_everywhere = bool(context.execution_options.get("everywhere"))
            judge(short, is_locking=is_locking, is_everywhere=is_everywhere)

    def judge_ours(statement: Statement, connection: Any) -> None:
        if not os.environ.get("TEST_DATABASE"):
            short = IN_LIST.sub(r"IN (:\1_0, :\1_1)", statement.sql)
            judge(short, is_locking=False, is_everywhere=bool(statement.everywhere))

    event.listen(Engine, "before_cursor_execute", judge_sqlalchemys)
    try:
        with about_to_run.connected_to(judge_ours):
            yield
    finally:
        event.remove(Engine, "before_cursor_execute", judge_sqlalchemys)


def issuer_of(frame: FrameType | None) -> str | None:
    """`package.module.function` of the application that has led to `frame`; None where a test or a migration has.

    What all features share is passed over: the function that uses it is named. What a commit writes belongs to the
    service whose commit it is.
    """
    shared = None
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        qualified = frame.f_code.co_qualname
        if module == "swiper.db.transactions" and qualified == "_attempt":
            module, qualified = frame.f_locals["service"].__module__, frame.f_locals["service"].__qualname__
        if module.startswith("swiper."):
            # What stands inside of a function belongs to it.
            name = f"{module}.{qualified.partition('.<locals>')[0]}".removeprefix("swiper.")
            if not module.startswith("swiper.db."):
                return name
            shared = shared or name
        elif frame.f_code.co_filename.startswith(f"{ROOT}/tests"):
            return shared
        elif frame.f_code.co_filename.startswith(f"{ROOT}/migrations"):
            # It changes whole tables.
            return None
        frame = frame.f_back
    return shared


def sweeps() -> list[tuple[str, str]]:
    """By name: each function or statement of the application that says `everywhere`, and the reason."""
    found = []
    for path in sorted((ROOT / "swiper").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT / "swiper").with_suffix("").parts)
        # `swiper/db` only hands the reason on.
        if not module.startswith("db."):
            found += [(f"{module}.{name}", reason) for name, reason in reasons_in(path.read_text())]
    return sorted(set(found))


def reasons_in(code: str) -> Iterator[tuple[str, str]]:
    """The same for the text of one module. Raises TypeError for a reason that is no constant."""
    tree = ast.parse(code)
    functions = [(node.name, node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    constants = [(ast.unparse(node.targets[0]), node) for node in tree.body if isinstance(node, ast.Assign)]
    for name, holder in functions + constants:
        for node in ast.walk(holder):
            if isinstance(node, ast.keyword) and node.arg == "everywhere":
                if not isinstance(node.value, ast.Constant):
                    raise TypeError(f"{name} says `everywhere` without a reason that can be read here")
                yield name, str(node.value.value)
