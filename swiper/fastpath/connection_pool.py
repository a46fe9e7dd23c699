"""A pool of connections. Each connection serves one request of one greenlet at a time.

A connection that has answered takes the request that has waited longest. The greenlet of that request is resumed once,
by the answer.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from gevent import get_hub

from swiper.fastpath.shared_connection import SharedConnection
from swiper.fastpath.watchdog import CHECK_SECONDS, PendingRequest, Watchdog, checks_within
from swiper.tallies import count_pool_wait


class PooledConnection(SharedConnection):
    """A connection of a pool. It calls `release` of the pool when it has answered, and `remove` when it has ended."""

    def is_usable(self) -> bool:
        """Return False if the server has closed this idle connection. Asks the kernel."""
        raise NotImplementedError


C = TypeVar("C", bound=PooledConnection)


class ConnectionPool(Generic[C]):
    """Has at most `size` connections. A request waits while none is free, and the oldest request is served first."""

    def __init__(self, connect: Callable[[float], C], size: int, seconds: float, late: Callable[[], Exception]) -> None:
        """`late` makes the error for a greenlet that has waited `seconds` for a free connection.

        `connect` makes a connection. It gets the number of seconds that its greenlet has waited, so that waiting and
        connecting share one limit.
        """
        self.connect, self.size, self.late = connect, size, late
        self.checks = checks_within(seconds)
        # The number of connections that exist or are being made. While a request waits, none of them is idle, so no
        # later request is served before it.
        self.count = 0
        self.idle: list[C] = []
        # A connection that is not in this set is closed after its next answer.
        self.current: set[C] = set()
        self.waiting: deque[PendingRequest] = deque()
        self.loop = get_hub().loop
        self.watchdog = Watchdog(self.loop, lambda: self.waiting, lambda request: request.fail(self.late()))

    def call(self, question: Any) -> PendingRequest:
        """Send a question, and return the request with its answers. Raises errors of `connect`, `late`, the connection.

        When the asking greenlet is killed, its connection is closed.
        """
        connection, request = self._take_idle(), PendingRequest(question, self.checks)
        try:
            if connection is None:
                if (self.waiting or self.count >= self.size) and self._is_answered_in_turn(request):
                    return request
                waited = (self.checks - request.checks_left) * CHECK_SECONDS
                connection, request = self._connect(waited), PendingRequest(question)
            connection.start(request)
            request.wait()
        except BaseException:
            if request.connection is not None:
                request.connection.close()
            raise
        return request

    def release(self, connection: C) -> None:
        """Give the next request to a connection that has answered. Runs in the hub."""
        if connection not in self.current:
            connection.close()
        elif self.waiting:
            connection.start(self._take_waiting())
        else:
            self.idle.append(connection)

    def remove(self, connection: C) -> None:
        """Remove a connection that has ended. Another one may be made instead."""
        self.current.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        self._give_up_place()

    def renew(self) -> None:
        """Close idle connections now, and the others once they have answered."""
        self.current.clear()
        unused, self.idle = self.idle, []
        for connection in unused:
            connection.close()

    def _take_idle(self) -> C | None:
        while self.idle:
            connection = self.idle.pop()
            if connection.is_usable():
                return connection
            connection.close()
        return None

    def _connect(self, waited: float) -> C:
        self.count += 1
        try:
            connection = self.connect(waited)
        except BaseException:
            self._give_up_place()
            raise
        self.current.add(connection)
        return connection

    def _give_up_place(self) -> None:
        self.count -= 1
        self.loop.run_callback(self._fill_places)

    def _fill_places(self) -> None:
        """Resume waiting greenlets while the pool may have more connections. Each of them connects at once."""
        while self.waiting and self.count < self.size:
            self._take_waiting().resume(False)

    def _is_answered_in_turn(self, request: PendingRequest) -> bool:
        """Wait for a free connection and its answers. Return False if the caller must make a connection instead."""
        request.queued_at = time.monotonic()
        self.waiting.append(request)
        self.watchdog.start()
        try:
            return request.wait() is not False
        except BaseException:
            if request.connection is None:
                self.waiting.remove(request)
                count_pool_wait(time.monotonic() - request.queued_at, is_served=False)
            raise

    def _take_waiting(self) -> PendingRequest:
        """Take the request that has waited longest."""
        request = self.waiting.popleft()
        count_pool_wait(time.monotonic() - request.queued_at, is_served=True)
        return request
