"""Which distribution columns a statement binds to values: `Bounds` says of each table whether it is enough."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlglot import exp

from swiper.db.distribution import PLACES

# A column of one source of a SELECT, UPDATE or DELETE: the node, the name of the source, the column.
Key = tuple[int, str, str]


class Rule(StrEnum):
    """What a statement must not do."""

    GROUPS = "touches tables of several distribution groups"
    COLUMN = "does not name the distribution column by equality or IN"
    JOIN = "joins tables, or looks into one, along other columns than the distribution columns"
    LOCK = "locks rows of several machines: a lock needs an equality on the distribution column"
    MOVE = "changes a distribution column"
    NEEDLESS = "says `everywhere` and does not look everywhere"
    UNREADABLE = "cannot be parsed"


@dataclass(frozen=True)
class Breach:
    """A rule that a statement breaks, and with which tables."""

    rule: Rule
    tables: str

    def __str__(self) -> str:
        return f"{self.rule} ({self.tables})"


def tables_of(tree: exp.Expression) -> list[exp.Table]:
    """Tables that stand in `PLACES`: neither what a WITH has made nor SQLite's own."""
    made = {each.alias for each in tree.find_all(exp.CTE)}
    return [table for table in tree.find_all(exp.Table) if table.name in PLACES and table.name not in made]


@dataclass
class _Condition:
    """What a condition says of columns: by equality with a value, by IN or several such values, by other columns."""

    equal: set[Key] = field(default_factory=set)
    among: set[Key] = field(default_factory=set)
    same: set[tuple[Key, Key]] = field(default_factory=set)

    def add(self, other: "_Condition") -> None:
        self.equal |= other.equal
        self.among |= other.among
        self.same |= other.same


class Bounds:
    """Which columns a statement binds to values: by itself, or by equality with a column that is bound."""

    def __init__(self, tree: exp.Expression) -> None:
        self.tree = tree
        self.whole = _Condition()
        for scope in self._scopes():
            self._read(scope)
        self._follow(self.whole.equal)
        self.whole.among |= self.whole.equal
        self._follow(self.whole.among)

    def breaches(self, is_locking: bool) -> list[Breach]:
        """A breach for each distributed table whose column is not bound, or not closely enough for a lock or a join."""
        found = []
        keys: dict[int, list[Key]] = {}
        for table in tables_of(self.tree):
            column = PLACES[table.name].column
            if column is None:
                continue
            if isinstance(table.parent, exp.Schema | exp.Insert):
                named = {each.name for each in getattr(table.parent, "expressions", [])}
                if column not in named:
                    found.append(Breach(Rule.COLUMN, table.name))
                continue
            scope = _scope_of(table)
            key = (id(scope), table.alias_or_name, column)
            # What a subquery of a condition looks into is joined to what stands around it, which is walked first.
            around = keys.get(id(_scope_of(scope)), []) if isinstance(_holder_of(scope), exp.Where | exp.Join) else []
            own = keys.setdefault(id(scope), [])
            if not all(self._is_beside(key, other) for other in own + around):
                found.append(Breach(Rule.JOIN, table.name))
            own.append(key)
            if key not in self.whole.among:
                found.append(Breach(Rule.COLUMN, table.name))
            if is_locking and key not in self.whole.equal:
                found.append(Breach(Rule.LOCK, table.name))
        return found

    def _scopes(self) -> Iterator[Any]:
        return self.tree.find_all(exp.Select, exp.Update, exp.Delete)

    def _read(self, scope: Any) -> None:
        """Take the conditions of a scope: all of WHERE; of an outer join what it says of the joined table alone."""
        where = scope.args.get("where")
        if where is not None and _is_never(where.this):
            # It finds no row on any machine.
            self.whole.equal |= {
                (id(scope), name, place.column)
                for name in _sources_of(scope)
                for place in PLACES.values()
                if place.column
            }
        elif where is not None:
            self.whole.add(self._condition(where.this, scope, None))
        for join in scope.args.get("joins") or []:
            on = join.args.get("on")
            if on is not None:
                only = join.this.alias_or_name if join.side else None
                self.whole.add(self._condition(on, scope, only))

    def _condition(self, node: Any, scope: Any, only: str | None) -> _Condition:
        found = _Condition()
        if isinstance(node, exp.Paren):
            return self._condition(node.this, scope, only)
        if isinstance(node, exp.And):
            found.add(self._condition(node.this, scope, only))
            found.add(self._condition(node.expression, scope, only))
        elif isinstance(node, exp.Or):
            sides = [self._condition(side, scope, only) for side in (node.this, node.expression)]
            found.among = set.intersection(*[side.equal | side.among for side in sides])
        elif isinstance(node, exp.EQ):
            self._equality(node, scope, only, found)
        elif isinstance(node, exp.In) and _is_constant_list(node):
            columns = node.this.expressions if isinstance(node.this, exp.Tuple) else [node.this]
            found.among = {key for key in (self._key(each, scope, only) for each in columns) if key}
        return found

    def _equality(self, node: exp.EQ, scope: Any, only: str | None, found: _Condition) -> None:
        for one, other in ((node.this, node.expression), (node.expression, node.this)):
            key = self._key(one, scope, only)
            if key is None:
                continue
            if _is_constant(other):
                found.equal.add(key)
            elif (origin := self._key(other, None, None)) is not None:
                found.same.add((origin, key))

    def _key(self, node: Any, scope: Any, only: str | None) -> Key | None:
        """The column that `node` is. Only one of `scope` is bound by a condition there, and only one of `only`."""
        if not isinstance(node, exp.Column):
            return None
        place = _scope_of(node)
        while place is not None:
            sources = _sources_of(place)
            name = node.table or (sources[0] if len(sources) == 1 else "")
            if name in sources:
                is_bound = (scope is None or place is scope) and (only is None or name == only)
                return (id(place), name, node.name) if is_bound else None
            place = _scope_of(place)
        return None

    def _is_beside(self, key: Key, other: Key) -> bool:
        """True where rows of two tables that belong together are on one machine, as far as the text tells."""
        if {key, other} <= self.whole.equal:
            return True
        reached, size = {key}, 0
        while size != len(reached):
            size = len(reached)
            reached |= {end for pair in self.whole.same if reached & set(pair) for end in pair}
        return other in reached

    def _follow(self, bound: set[Key]) -> None:
        """Add to `bound` what equals one of its columns."""
        size = -1
        while size != len(bound):
            size = len(bound)
            bound |= {key for origin, key in self.whole.same if origin in bound}


def _scope_of(node: Any) -> Any:
    """The SELECT, UPDATE or DELETE around a node."""
    return node.find_ancestor(exp.Select, exp.Update, exp.Delete)


def _holder_of(scope: Any) -> Any:
    """What a subquery stands in: a condition, or the tables that a SELECT reads from."""
    return scope.find_ancestor(exp.Where, exp.Join, exp.From, exp.SetOperation, exp.CTE)


def _sources_of(scope: Any) -> list[str]:
    """The names that the columns of a scope are told apart by."""
    own = [scope.this] if isinstance(scope, exp.Update | exp.Delete) else []
    origin = scope.args.get("from_")
    joined = [join.this for join in scope.args.get("joins") or []]
    return [each.alias_or_name for each in (*own, *([origin.this] if origin else []), *joined)]


def _is_never(node: Any) -> bool:
    """True for the condition that SQLAlchemy writes for one that is always false."""
    return isinstance(node, exp.EQ) and [node.this.name, node.expression.name] == ["0", "1"]


def _is_constant(node: Any) -> bool:
    return node.find(exp.Column, exp.Select) is None


def _is_constant_list(node: exp.In) -> bool:
    """True for values, for the empty list of SQLAlchemy's and for what json_each unpacks."""
    query = node.args.get("query")
    if query is not None:
        return not tables_of(query)
    return all(map(_is_constant, node.expressions))
