"""How long readers and writers of a database wait for somebody's locks, measured beside a control.

A busy machine keeps every statement waiting. So a control does the same on another database of the same server (SQLite:
another file on the same disk), where nobody takes locks. The time in which it stood still as well is not counted.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Engine, text

PAUSE_SECONDS = 0.005
# A wait is kept, and a turn of the control counts as a stall, from this time on.
NOTED_SECONDS = 0.05
READ, WRITE = "read", "write"


class Use(NamedTuple):
    """One statement that is run again and again, with its values for each turn."""

    table: str
    sql: str
    values: Any


class Interval(NamedTuple):
    """A stretch of `time.monotonic()`."""

    began: float
    ended: float


class Waits(NamedTuple):
    """What one kind of user has met: by table the longest wait of a statement, and that less the control's stalls."""

    longest: Mapping[str, float]
    for_locks: Mapping[str, float]


def outside_of(interval: Interval, stalls: Sequence[Interval]) -> float:
    """The seconds of an interval that are in none of the stalls, which do not overlap."""
    shared = (min(interval.ended, stall.ended) - max(interval.began, stall.began) for stall in stalls)
    return interval.ended - interval.began - sum(max(0.0, seconds) for seconds in shared)


@contextmanager
def measured(engine: Engine, control: Engine, kinds: Mapping[str, Sequence[Use]]) -> Iterator[dict[str, Waits]]:
    """Run the statements of each kind in turn meanwhile; give by kind what they have waited for, at the end.

    Raises the error of a statement that fails.
    """
    found: dict[str, Waits] = {}
    with control.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS control (id INTEGER PRIMARY KEY, number INTEGER)"))
        connection.execute(text("DELETE FROM control"))
        connection.execute(text("INSERT INTO control VALUES (1, 1)"))
    with ExitStack() as stack:
        noted = {kind: stack.enter_context(_running(engine, uses)) for kind, uses in kinds.items()}
        stalls = {kind: stack.enter_context(_running(control, [CONTROL[kind]])) for kind in kinds}
        yield found
    for kind, uses in kinds.items():
        others = sorted(stalls[kind]["control"])
        tables = {use.table: noted[kind][use.table] for use in uses}
        found[kind] = Waits(
            {table: max((each.ended - each.began for each in own), default=0.0) for table, own in tables.items()},
            {table: max((outside_of(each, others) for each in own), default=0.0) for table, own in tables.items()},
        )


CONTROL = {
    READ: Use("control", "SELECT number FROM control WHERE id = 1", lambda _: {}),
    WRITE: Use("control", "UPDATE control SET number = number WHERE id = 1", lambda _: {}),
}


@contextmanager
def _running(engine: Engine, uses: Sequence[Use]) -> Iterator[dict[str, list[Interval]]]:
    """Run statements one after the other in a thread; give by table each turn that has taken long."""
    noted: dict[str, list[Interval]] = {use.table: [] for use in uses}
    is_over = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        number = 0
        try:
            while not is_over.is_set():
                for use in uses:
                    began = time.monotonic()
                    number += 1
                    with engine.begin() as connection:
                        connection.execute(text(use.sql), use.values(number))
                    time.sleep(PAUSE_SECONDS)
                    turn = Interval(began, time.monotonic())
                    if turn.ended - turn.began > NOTED_SECONDS:
                        noted[use.table].append(turn)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield noted
    finally:
        is_over.set()
        thread.join()
    if failures:
        raise failures[0]
