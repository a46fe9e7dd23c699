"""A worker's connections to PostgreSQL: one that all greenlets share for reading, and those of a pool for writing.

Reads of the same moment are sent with one synchronisation mark, so they are one transaction. Only statements that
change nothing and lock nothing may use the shared connection. A request that writes uses a connection alone.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from psycopg.pq import ExecStatus

from swiper.fastpath.connection_pool import ConnectionPool, PooledConnection
from swiper.fastpath.pipeline import Asked, Pipeline, at_mark
from swiper.fastpath.postgres_statements import GOOD, Row, Step, written
from swiper.fastpath.shared_connection import SharedConnection
from swiper.fastpath.watchdog import PendingRequest

# The requests that are answered before a mark, each with its statements.
Batch = list[tuple[PendingRequest, list[Asked]]]


class LostError(Exception):
    """The connection has ended, or PostgreSQL has refused something that was sent together."""


class LateError(LostError):
    """No answer came in time."""


class PostgresConnection(SharedConnection):
    """A connection whose questions are statements with their values."""

    def __init__(self, pipeline: Pipeline, seconds: float, on_end: Callable[[Pipeline], None]) -> None:
        """`on_end` is called when the connection has ended, and closes the pipeline."""
        self.pipeline, self.on_end = pipeline, on_end
        self.libpq = pipeline.libpq
        self.unsent: list[PendingRequest] = []
        # One batch for each mark, with the number of results before the mark.
        self.batches: deque[tuple[Batch, int]] = deque()
        self.results: list[Any] = []
        super().__init__(pipeline.fileno(), seconds)

    def ask(self, *steps: Step) -> list[list[Row]]:
        """Return the rows of each statement. Raises LostError if the caller should ask on another connection."""
        answers = self.call(written(steps))
        for _, _, result in answers:
            if result.status not in GOOD:
                raise LostError("refused")
        return self.pipeline.rows(answers)

    def put(self, request: PendingRequest) -> None:
        """See `SharedConnection`."""
        self.unsent.append(request)

    def lost(self, why: str) -> Exception:
        """See `SharedConnection`."""
        return LostError(why)

    def late(self) -> Exception:
        """See `SharedConnection`."""
        return LateError("no answer")

    def disconnect(self) -> None:
        """See `SharedConnection`."""
        self.on_end(self.pipeline)

    def _flush(self) -> bool:
        if self.unsent:
            requests, self.unsent = self.unsent, []
            batch = [(request, self.pipeline.send(request.question)) for request in requests]
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
                    self._answer(batch, results, mark)

    def _answer(self, batch: Batch, results: list[Any], mark: Any) -> None:
        """Give the results before a mark to the greenlets that asked."""
        if mark.status != ExecStatus.PIPELINE_SYNC:
            # The answers that follow belong to unknown requests.
            raise LostError("the mark is missing")
        if any(each.status not in GOOD for each in results):
            # A statement on this connection may be unprepared, or its plan may be out of date.
            self.is_open = False
        following = iter(results)
        for request, asked in batch:
            request.answers = [(statement, is_run, next(following)) for statement, is_run in asked]
            self.requests.popleft()
        for request, _ in batch:
            request.resume(request.answers)


class WritingConnection(PostgresConnection, PooledConnection):
    """A connection of the pool. Each request is one transaction. A refused statement ends the connection."""

    def __init__(
        self,
        pool: ConnectionPool["WritingConnection"],
        pipeline: Pipeline,
        seconds: float,
        on_end: Callable[[Pipeline], None],
    ) -> None:
        """See `PostgresConnection`."""
        self.pool = pool
        super().__init__(pipeline, seconds, on_end)

    def is_usable(self) -> bool:
        """See `PooledConnection`."""
        return self.is_open and not self.pipeline.is_readable()

    def disconnect(self) -> None:
        """See `SharedConnection`."""
        super().disconnect()
        self.pool.remove(self)

    def _answer(self, batch: Batch, results: list[Any], mark: Any) -> None:
        ((request, asked),) = batch
        self.requests.popleft()
        request.answers = [(*each, result) for each, result in zip(asked, results, strict=True)]
        request.answers += at_mark(asked, mark)
        if mark.status != ExecStatus.PIPELINE_SYNC or any(result.status not in GOOD for result in results):
            self.is_open = False
        if self.is_open:
            # The next request is sent first, so the server works while the resumed greenlet runs.
            self.pool.release(self)
        request.resume(request.answers)
