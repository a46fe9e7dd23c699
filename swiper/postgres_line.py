"""The connection to PostgreSQL by which the greenlets of a worker read; see `lines`.

Statements that come together are sent with one synchronisation mark, and so are one transaction of their own: only
those may go this way that change nothing and lock nothing.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.pq import ExecStatus

from swiper.lines import Call, Keeper, Line
from swiper.quick_postgres import (
    GOOD,
    QuickConnection,
    QuickLane,
    Row,
    Statement,
    Step,
    as_sqlalchemys,
    rows_of,
    texts_of,
)


class LineError(Exception):
    """The line has ended, or PostgreSQL has refused something that was sent together."""


class LateError(LineError):
    """No answer came in time."""


class PostgresLine(Line):
    """Asked with statements and their values. Takes one of the lane's connections until it ends."""

    def __init__(self, lane: QuickLane, seconds: float) -> None:
        """Raises what `lane.take` does."""
        self.lane = lane
        self.connection: QuickConnection = lane.take()
        self.libpq = self.connection.libpq
        self.unsent: list[Call] = []
        # By mark: who is answered before it, each with how many results that takes, and how many those are in all.
        self.batches: deque[tuple[list[tuple[Call, int]], int]] = deque()
        self.results: list[Any] = []
        try:
            super().__init__(self.connection.fileno(), seconds)
        except BaseException:
            lane.give_up(self.connection)
            raise

    def ask(self, *steps: Step) -> list[list[Row]]:
        """The rows of each statement. Raises LineError where they should be asked for in another way."""
        results = self.call([(statement, texts_of(values)) for statement, values in steps])
        for result in results:
            if result.status not in GOOD:
                raise LineError("refused")
        # Where a statement was prepared first, that result has no rows.
        return [rows_of(result, step[0]) for result, step in zip(results[-len(steps) :], steps, strict=True)]

    def put(self, call: Call) -> None:
        """See `Line`."""
        self.unsent.append(call)

    def lost(self, why: str) -> Exception:
        """See `Line`."""
        return LineError(why)

    def late(self) -> Exception:
        """See `Line`."""
        return LateError("no answer")

    def hang_up(self) -> None:
        """See `Line`."""
        self.lane.give_up(self.connection)

    def _flush(self) -> bool:
        if self.unsent:
            calls, self.unsent = self.unsent, []
            batch = [(call, self._send_steps(call.question)) for call in calls]
            self.batches.append((batch, sum(count for _, count in batch)))
            self.libpq.pipeline_sync()
        return not self.libpq.flush()

    def _send_steps(self, steps: list[tuple[Statement, list[bytes | None]]]) -> int:
        # All that is prepared comes first, so that the rows are in the last results.
        prepared = [self.connection.prepare(statement) for statement, _ in steps]
        for statement, texts in steps:
            self.connection.send(statement, texts)
        return sum(prepared) + len(steps)

    def _read(self) -> None:
        self.libpq.consume_input()
        while self.batches and not self.has_ended and not self.libpq.is_busy():
            self._take(self.libpq.get_result())

    def _take(self, result: Any) -> None:
        """One result of those sent before the next mark, the end of one (None), or the mark itself."""
        batch, total = self.batches[0]
        if result is not None:
            self.results.append(result)
        if len(self.results) <= total:
            return
        *results, mark = self.results
        if mark.status != ExecStatus.PIPELINE_SYNC:
            # From here on nobody knows whose the answers are.
            raise LineError("the mark is missing")
        self.results = []
        self.batches.popleft()
        if any(each.status not in GOOD for each in results):
            # What is prepared here may be missing or out of date.
            self.is_open = False
        for call, count in batch:
            call.answers, results = results[:count], results[count:]
            self.calls.popleft()
        for call, _ in batch:
            self._answer(call)


class SharingLane(QuickLane):
    """The lane of a worker whose greenlets read by one connection, where it has another one for those who write."""

    def __init__(self, *args: Any, seconds: float, no_answer: Callable[[str], psycopg.Error], **options: Any) -> None:
        """`seconds` is how long an answer may take, `no_answer` makes the error of a statement that got none."""
        super().__init__(*args, **options)
        self.no_answer = no_answer
        self.keeper = Keeper(lambda: PostgresLine(self, seconds))

    def read(self, *steps: Step) -> list[list[Row]]:
        """See `QuickLane`."""
        if self.size < 2 or not self.keeper.is_for_us():
            return self.ask(*steps)
        try:
            return self.keeper.get().ask(*steps)
        except LateError as error:
            sql = steps[0][0].sql
            raise as_sqlalchemys(self.no_answer(sql), self.engine, sql, is_lost=True) from error
        except LineError:
            # Whatever happened to the others: alone it gets its rows, or an error of its own.
            return self.ask(*steps)

    def close_idle(self, *_: Any) -> None:
        """See `QuickLane`."""
        super().close_idle()
        self.keeper.close()
