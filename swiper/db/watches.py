"""What else is told of statements on the cursors of drivers, which SQLAlchemy's own events do not tell of."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from blinker import Signal

# Sent before a statement runs: the statement, and the `connection` of SQLAlchemy or of its pool.
about_to_run = Signal()
# What runs around statements, if anything: it gets their texts and the name of the dialect.
Watch = Callable[[Sequence[str], str], AbstractContextManager[None]]
watches: list[Watch] = []


def watch_statements(watch: Watch) -> None:
    """Let `watch` run around statements from now on, in place of a former one."""
    watches[:] = [watch]
