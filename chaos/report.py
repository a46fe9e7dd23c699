"""What an experiment found, and the table of all findings."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

COLUMNS = {"experiment": 30, "what was done": 38, "target": 32, "measured": 44, "": 4}


@dataclass(frozen=True)
class Finding:
    """One line of the table; `done` has the counts, `measured` the figures that `target` speaks of."""

    experiment: str
    done: str
    target: str
    measured: str
    passed: bool

    @property
    def verdict(self) -> str:
        """In one word."""
        return "pass" if self.passed else "FAIL"

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of the columns."""
        return self.experiment, self.done, self.target, self.measured, self.verdict


def as_text(findings: Sequence[Finding]) -> str:
    """The table for a terminal, long cells wrapped."""
    rule = "-+-".join("-" * width for width in COLUMNS.values())
    rows = [_wrapped(tuple(COLUMNS)), rule]
    for finding in findings:
        rows += [_wrapped(finding.cells), rule]
    return "\n".join(rows)


def _wrapped(cells: Sequence[str]) -> str:
    columns = [textwrap.wrap(cell, width) for cell, width in zip(cells, COLUMNS.values(), strict=True)]
    height = max(len(lines) for lines in columns)
    lines = []
    for number in range(height):
        parts = [column[number] if number < len(column) else "" for column in columns]
        padded = [part.ljust(width) for part, width in zip(parts, COLUMNS.values(), strict=True)]
        lines.append(" | ".join(padded).rstrip())
    return "\n".join(lines)


def as_markdown(findings: Sequence[Finding], head: str) -> str:
    """The page docs/reliability.md: `head`, then the table."""
    lines = [head, "", "| experiment | what was done | target | measured | |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in finding.cells) + " |" for finding in findings]
    return "\n".join(lines) + "\n"
