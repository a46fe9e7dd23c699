"""One line of the table for each thing that was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from chaos import tables

COLUMNS = {
    "what": 34,
    "yardstick": 30,
    "Swiper": 30,
    "ratio": 6,
    "target": 16,
    "": 11,
    "requests a second": 17,
    "Redis µs": 8,
    "database µs": 11,
}


@dataclass(frozen=True)
class Row:
    """`ratio` is what `target` speaks of where it is a ratio; `is_reached` is None where there is no target.

    `redis_us` and `database_us` are microseconds of those servers for one request of Swiper's, beside the ratio.
    """

    what: str
    yardstick: str
    swiper: str
    ratio: float | None = None
    target: str = ""
    is_reached: bool | None = None
    rates: str = ""
    redis_us: float | None = None
    database_us: float | None = None

    @property
    def verdict(self) -> str:
        """In words."""
        return {None: "", True: "reached", False: "NOT REACHED"}[self.is_reached]

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of the columns."""
        return (
            *(self.what, self.yardstick, self.swiper, "" if self.ratio is None else f"{self.ratio:.2f}", self.target),
            *(self.verdict, self.rates, _number(self.redis_us), _number(self.database_us)),
        )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def as_text(rows: Sequence[Row]) -> str:
    """The table for a terminal."""
    return tables.as_text(COLUMNS, [row.cells for row in rows])


def as_markdown(rows: Sequence[Row]) -> str:
    """The table of docs/performance.md."""
    return tables.as_markdown(COLUMNS, [row.cells for row in rows])


def put_into(page: str, rows: Sequence[Row]) -> str:
    """The page with these rows in the place of those of the same things; new ones stand at the end of its table."""
    fresh = {row.what: line for row, line in zip(rows, as_markdown(rows).splitlines()[2:], strict=True)}
    lines = []
    for line in page.splitlines():
        what = line.removeprefix("| ").partition(" | ")[0]
        lines.append(fresh.pop(what, line) if line.startswith("| ") else line)
    return "\n".join([*lines, *fresh.values()]) + "\n"
