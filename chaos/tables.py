"""Tables for a terminal and for a page; the columns are given by name with their widths in a terminal."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

Cells = Sequence[str]


def as_text(columns: Mapping[str, int], rows: Iterable[Cells]) -> str:
    """The table for a terminal, long cells wrapped."""
    widths = list(columns.values())
    rule = "-+-".join("-" * width for width in widths)
    lines = [_wrapped(list(columns), widths), rule]
    for row in rows:
        lines += [_wrapped(row, widths), rule]
    return "\n".join(lines)


def _wrapped(cells: Cells, widths: Sequence[int]) -> str:
    columns = [textwrap.wrap(cell, width) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for number in range(max(map(len, columns))):
        parts = [column[number] if number < len(column) else "" for column in columns]
        padded = [part.ljust(width) for part, width in zip(parts, widths, strict=True)]
        lines.append(" | ".join(padded).rstrip())
    return "\n".join(lines)


def as_markdown(columns: Iterable[str], rows: Iterable[Cells]) -> str:
    """The table for a page."""
    names = list(columns)
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
