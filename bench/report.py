"""One line of the table for each thing that was measured."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

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
    """The table for a terminal, long cells wrapped."""
    rule = "-+-".join("-" * width for width in COLUMNS.values())
    lines = [_wrapped(tuple(COLUMNS)), rule]
    for row in rows:
        lines += [_wrapped(row.cells), rule]
    return "\n".join(lines)


def _wrapped(cells: Sequence[str]) -> str:
    columns = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, COLUMNS.values(), strict=True)]
    height = max(len(lines) for lines in columns)
    lines = []
    for number in range(height):
        parts = [column[number] if number < len(column) else "" for column in columns]
        padded = [part.ljust(width) for part, width in zip(parts, COLUMNS.values(), strict=True)]
        lines.append(" | ".join(padded).rstrip())
    return "\n".join(lines)


def as_markdown(rows: Sequence[Row]) -> str:
    """The table of docs/performance.md."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row.cells) + " |" for row in rows]
    return "\n".join(lines) + "\n"
