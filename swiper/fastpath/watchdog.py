"""A watchdog over greenlets that wait for a server. It reports the requests that have waited for too long.

A check counts only moments at which this worker could read an answer, so a busy worker does not blame the server for
its own delay.
"""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from gevent.hub import Waiter

CHECK_SECONDS = 0.1


def checks_within(seconds: float) -> int:
    """Return the number of checks in the time limit of a request, which is in `seconds`."""
    return max(1, round(seconds / CHECK_SECONDS))


class Watched:
    """What a watchdog watches. It is late when no check is left."""

    __slots__ = ("checks_left",)

    checks_left: int


W = TypeVar("W", bound=Watched)


class PendingRequest(Watched):
    """The question of one greenlet, and the answers that have arrived so far."""

    __slots__ = ("answers", "connection", "question", "queued_at", "waiter")

    # When it began to wait for a connection, on the monotonic clock. It is unset when a connection was free.
    queued_at: float

    def __init__(self, question: Any, checks_left: int = 0) -> None:
        self.question = question
        self.checks_left = checks_left
        # The connection that has sent the request. It is None before.
        self.connection: Any = None
        self.answers: list[Any] = []
        # None when nobody waits any more. The answers that still arrive are dropped.
        self.waiter: Waiter | None = Waiter()

    def wait(self) -> Any:
        """Wait until another greenlet or the hub passes a value, and return it. Raises the error that it passes."""
        waiter: Any = self.waiter
        try:
            return waiter.get()
        finally:
            self.waiter = None

    def resume(self, value: Any) -> None:
        """Resume the waiting greenlet with `value`. It runs now, until it waits again."""
        if self.waiter is not None:
            self.waiter.switch(value)

    def fail(self, error: Exception) -> None:
        """Raise `error` in the waiting greenlet. It runs now, until it waits again."""
        if self.waiter is not None:
            self.waiter.throw(error)


class Watchdog(Generic[W]):
    """Counts the checks of what waits, and reports each that has none left."""

    def __init__(
        self,
        loop: Any,
        pending: Callable[[], Iterable[W]],
        on_late: Callable[[W], None],
        after_check: Callable[[], None] = lambda: None,
    ) -> None:
        """`pending` returns what to watch. `on_late` gets each late one; `after_check` runs after a check."""
        self.pending, self.on_late, self.after_check = pending, on_late, after_check
        self.timer = loop.timer(CHECK_SECONDS, CHECK_SECONDS)

    def start(self) -> None:
        """Watch until nothing is pending."""
        if not self.timer.active:
            self.timer.start(self._check, update=True)

    def close(self) -> None:
        """Stop watching. The watchdog cannot be started again."""
        self.timer.stop()
        self.timer.close()

    def _check(self) -> None:
        waiting = list(self.pending())
        if not waiting:
            self.timer.stop()
        for each in waiting:
            each.checks_left -= 1
            if each.checks_left < 0:
                self.on_late(each)
        self.after_check()
