"""SQL as features write it, in a form that all databases here understand, and what a driver makes of it."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Protocol

from swiper.clock import aware
from swiper.fastpath import postgres_statements

# What a column holds: int, str, bytes (text that is passed on as it is), bool, date, datetime, or one of our enums.
Kind = type[Any]
Read = Callable[[Any], Any]
Values = Mapping[str, Any]

NAME = re.compile(r"(?<![:\w]):([a-z_]\w*)")
IN_LIST = re.compile(r"\bIN :([a-z_]\w*)")


def names_in(sql: str, place: re.Pattern[str] = NAME) -> tuple[str, ...]:
    """Return the names of the parameters in `sql`, each once, in their order; with IN_LIST only those of lists."""
    return tuple(dict.fromkeys(place.findall(sql)))


def as_utc(moment: datetime) -> datetime:
    """Return an aware time in UTC; one without a zone is in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


# PostgreSQL's text.
TEXT_READERS: Mapping[Kind, Any] = {
    bool: "t".__eq__,
    date: date.fromisoformat,
    datetime: lambda text: as_utc(datetime.fromisoformat(text)),
}


# What psycopg and PyMySQL return. A kind that is missing is called with the value.
SERVER_READERS: Mapping[Kind, Read | None] = {
    **{int: None, str: None, bytes: str.encode, bool: bool, date: None, datetime: as_utc},
}


def plain_value(value: Any) -> Any:
    """Return the value of an enum, and anything else as it is. Raises ValueError for a time without a zone."""
    if type(value) is datetime:
        return aware(value)
    return value.value if isinstance(value, StrEnum) else value


class DriverStatement(Protocol):
    """A statement in the form of one driver."""

    # For each column what converts a value that is not None; None where nothing is converted.
    reads: list[Read | None] | None

    @property
    def together(self) -> Callable[[Any, Sequence[tuple["DriverStatement", Values]], str], list[list[Any]]] | None:
        """Return what runs several single reads in one round trip; None where the driver cannot do so."""

    def run(self, connection: Any, values: Values, comment: str = "") -> list[Any]:
        """Run it on the driver's connection, and return the driver's rows. Raises the driver's errors.

        `comment` is written behind it, and empty where there is none.
        """


def reads_of(kinds: Sequence[Kind], readers: Mapping[Kind, Read | None]) -> list[Read | None] | None:
    """Return the `reads` of a statement with such columns. A kind that is not in `readers` is called with the value."""
    reads = [readers.get(kind, kind) for kind in kinds]
    return reads if any(reads) else None


class Statement:
    """SQL with parameters `:name`, and what each column of its result holds."""

    def __init__(self, sql: str, *columns: Kind, array_sql: str | None = None, everywhere: str = "") -> None:
        """`array_sql` runs instead of `sql` on a database that takes a list of values as one array: PostgreSQL.

        `everywhere` says why a statement does not name its tables' distribution column (docs/distribution.md).
        """
        self.sql, self.array_sql = " ".join(sql.split()), " ".join((array_sql or sql).split())
        self.columns, self.everywhere = columns, everywhere
        self.names = names_in(self.sql)
        self.forms: dict[str, DriverStatement] = {}

    @functools.cached_property
    def numbered(self) -> postgres_statements.Statement:
        """The same with `$1`, `$2`, … in the order of `names`, as single-node PostgreSQL runs it."""
        numbers = {name: f"${number}" for number, name in enumerate(self.names, 1)}
        text = IN_LIST.sub(r"= ANY(:\1)", self.array_sql)
        sql = NAME.sub(lambda match: numbers[match[1]], text)
        return postgres_statements.Statement(sql, *(TEXT_READERS.get(kind, kind) for kind in self.columns))
