"""The connections to PostgreSQL that the greenlets of a worker use; see `lines`.

All read by one. Statements that come together there are sent with one synchronisation mark, and so are one transaction
of their own: only those may go this way that change nothing and lock nothing. Who writes has one alone meanwhile.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, cast

import psycopg
from psycopg.pq import ExecStatus
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from swiper.fastpath.lines import Call, Crew, CrewLine, Keeper, Line
from swiper.fastpath.quick_postgres import (
    GOOD,
    Asked,
    QuickConnection,
    QuickLane,
    Row,
    Step,
    as_sqlalchemys,
    at_mark,
    written,
)

# Who is answered before a mark, each with what.
Batch = list[tuple[Call, list[Asked]]]


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
        # By mark, with the number of results before it.
        self.batches: deque[tuple[Batch, int]] = deque()
        self.results: list[Any] = []
        try:
            super().__init__(self.connection.fileno(), seconds)
        except BaseException:
            lane.give_up(self.connection)
            raise

    def ask(self, *steps: Step) -> list[list[Row]]:
        """The rows of each statement. Raises LineError where they should be asked for in another way."""
        answers = self.call(written(steps))
        for _, _, result in answers:
            if result.status not in GOOD:
                raise LineError("refused")
        return self.connection.rows(answers)

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
            batch = [(call, self.connection.send(call.question)) for call in calls]
            self.batches.append((batch, sum(len(asked) for _, asked in batch)))
            self.libpq.pipeline_sync()
        return not self.libpq.flush()

    def _read(self) -> None:
        libpq = self.libpq
        libpq.consume_input()
        while self.batches and not self.has_ended and not libpq.is_busy():
            result = libpq.get_result()
            # None ends the answer to one statement.
            if result is not None:
                self.results.append(result)
                batch, total = self.batches[0]
                if len(self.results) > total:
                    *results, mark = self.results
                    self.results = []
                    self.batches.popleft()
                    self._settle(batch, results, mark)

    def _settle(self, batch: Batch, results: list[Any], mark: Any) -> None:
        """Give the results before a mark to those who asked."""
        if mark.status != ExecStatus.PIPELINE_SYNC:
            # From here on nobody knows whose the answers are.
            raise LineError("the mark is missing")
        if any(each.status not in GOOD for each in results):
            # What is prepared here may be missing or out of date.
            self.is_open = False
        following = iter(results)
        for call, asked in batch:
            call.answers = [(statement, is_run, next(following)) for statement, is_run in asked]
            self.calls.popleft()
        for call, _ in batch:
            self._answer(call)


class WritingLine(PostgresLine, CrewLine):
    """One of a crew's. What it is asked is a transaction of its own; a refusal ends it."""

    def __init__(self, lane: "SharingLane", seconds: float) -> None:
        """See `PostgresLine`."""
        self.crew = lane.crew
        super().__init__(lane, seconds)

    def is_usable(self) -> bool:
        """See `CrewLine`."""
        return self.is_open and not self.connection.is_readable()

    def hang_up(self) -> None:
        """See `Line`."""
        super().hang_up()
        self.crew.gone(self)

    def _settle(self, batch: Batch, results: list[Any], mark: Any) -> None:
        ((call, asked),) = batch
        self.calls.popleft()
        call.answers = [(*each, result) for each, result in zip(asked, results, strict=True)]
        call.answers += at_mark(asked, mark)
        if mark.status != ExecStatus.PIPELINE_SYNC or any(result.status not in GOOD for result in results):
            self.is_open = False
        if self.is_open:
            # First whoever is next, so that the server has something to do meanwhile.
            self.crew.free(self)
        self._answer(call)


class SharingLane(QuickLane):
    """The lane of a worker whose greenlets read by one connection and take turns on the others, if it may have two."""

    def __init__(self, *args: Any, seconds: float, no_answer: Callable[[str], psycopg.Error], **options: Any) -> None:
        """`seconds` is how long an answer may take, `no_answer` makes the error of a statement that got none."""
        super().__init__(*args, **options)
        self.seconds = seconds
        self.no_answer = no_answer
        self.keeper = Keeper(lambda: PostgresLine(self, seconds))

    @cached_property
    def crew(self) -> Crew[WritingLine]:
        """The lines of those who write."""
        why = f"no connection became free in {self.wait_seconds} s"
        # Of the two others those read, and one is for the time in which somebody still waits on one that is given up.
        size = max(1, self.size - 2)
        return Crew(lambda: WritingLine(self, self.seconds), size, self.wait_seconds, lambda: PoolTimeoutError(why))

    def read(self, *steps: Step) -> list[list[Row]]:
        """See `QuickLane`."""
        if not self._is_sharing():
            return self.ask(*steps)
        try:
            return self.keeper.get().ask(*steps)
        except LateError as error:
            raise self._too_late(steps) from error
        except LineError:
            # Whatever happened to the others: alone it gets its rows, or an error of its own.
            return self.ask(*steps)

    def close_idle(self, *_: Any) -> None:
        """See `QuickLane`."""
        super().close_idle()
        self.keeper.close()
        if "crew" in self.__dict__:
            self.crew.renew()

    def _is_sharing(self) -> bool:
        return self.size > 1 and self.keeper.is_for_us()

    def _ask(self, *steps: Step) -> list[list[Row]]:
        if not self._is_sharing():
            return super()._ask(*steps)
        try:
            call = self.crew.call(written(steps))
        except LateError as error:
            raise self._too_late(steps) from error
        except LineError as error:
            lost = psycopg.OperationalError(str(error))
            raise as_sqlalchemys(lost, self.engine, steps[0][0].sql, is_lost=True) from error
        try:
            return cast(WritingLine, call.line).connection.rows(call.answers)
        except DBAPIError as error:
            self.close_if_lost(error)
            raise

    def _too_late(self, steps: Sequence[Step]) -> Any:
        sql = steps[0][0].sql
        return as_sqlalchemys(self.no_answer(sql), self.engine, sql, is_lost=True)
