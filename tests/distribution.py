"""The distribution rule: `broken_rules` says of a statement, in SQLite's form, why it could not run on a cluster."""

import re
from typing import Any

import sqlglot
from sqlglot import exp

from swiper.db.distribution import PLACES, Group
from tests.bound_columns import Bounds, Breach, Rule, tables_of

JUDGED = re.compile(r"\s*\(*\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)


def broken_rules(statement: str, *, is_locking: bool = False, is_everywhere: bool = False) -> list[Breach]:
    """What `statement` breaks. `is_locking` says that it locks what it reads, which SQLite's form does not show.

    One that `is_everywhere` may leave the distribution column out, and breaks a rule where it has no need to.
    """
    if not JUDGED.match(statement):
        return []
    try:
        tree = sqlglot.parse_one(statement, dialect="sqlite")
    except sqlglot.errors.ParseError:
        return [Breach(Rule.UNREADABLE, "all")]
    tables = tables_of(tree)
    breaches = [*_several_groups(tables), *_moved(tree)]
    found = Bounds(tree).breaches(is_locking)
    unbound = [breach for breach in found if breach.rule is Rule.COLUMN]
    if is_everywhere and not unbound:
        breaches.append(Breach(Rule.NEEDLESS, _names(tables)))
    return breaches + [breach for breach in found if not (is_everywhere and breach.rule is Rule.COLUMN)]


def _names(tables: list[exp.Table]) -> str:
    return ", ".join(sorted({table.name for table in tables}))


def _several_groups(tables: list[exp.Table]) -> list[Breach]:
    groups = {PLACES[table.name].group for table in tables} - {Group.REFERENCE}
    return [Breach(Rule.GROUPS, _names(tables))] if len(groups) > 1 else []


def _moved(tree: exp.Expression) -> list[Breach]:
    """An assignment to a distribution column, by an UPDATE or by an upsert."""
    changes: list[tuple[exp.Table | None, Any]] = []
    for update in tree.find_all(exp.Update):
        changes += [(update.find(exp.Table), each) for each in update.expressions]
    for insert in tree.find_all(exp.Insert):
        conflict = insert.args.get("conflict")
        changes += [(insert.find(exp.Table), each) for each in (conflict.expressions if conflict else [])]
    return [
        Breach(Rule.MOVE, table.name)
        for table, change in changes
        if table is not None and table.name in PLACES and change.this.name == PLACES[table.name].column
    ]
