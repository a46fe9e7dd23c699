"""What an experiment found, and the table of all findings."""

from collections.abc import Sequence
from dataclasses import dataclass

from chaos import tables

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
    """The table for a terminal."""
    return tables.as_text(COLUMNS, [finding.cells for finding in findings])


def as_markdown(findings: Sequence[Finding], head: str) -> str:
    """The page docs/reliability.md: `head`, then the table."""
    return f"{head}\n\n{tables.as_markdown(COLUMNS, [finding.cells for finding in findings])}"
