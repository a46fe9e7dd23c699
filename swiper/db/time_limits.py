"""Time limits for a database server that accepts a statement and does not answer.

No setting of the servers or drivers does this job. `statement_timeout` needs a server that works; `tcp_user_timeout`
sees only packets that are not confirmed, and the kernel of a frozen server confirms them; PyMySQL's `read_timeout`
counts the delay of a busy worker as the server's.
"""

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar, Self
from weakref import WeakKeyDictionary

from gevent import get_hub, getcurrent
from gevent.monkey import get_original, is_module_patched

from swiper.fastpath.watchdog import Watchdog, Watched, checks_within
from swiper.outages import NO_ANSWER

log = logging.getLogger(__name__)

# PyMySQL's error number for a connection that was lost during a query.
LOST_CONNECTION = 2013
READABLE = 1
# gevent's copy would make watchers, which costs more than the kernel's answer.
poll = get_original("select", "poll")


class _SilenceError(BaseException):
    """Ends the waiting of a greenlet. Drivers do not catch it, because it is no Exception."""


class TimeLimit(Watched):
    """Ends the `with` block by the driver's error when the server has sent nothing for `seconds`.

    Only moments at which this process could read an answer count, so a busy process does not blame the server for its
    own delay. With a `connection`, an answer that has arrived but is not read yet prevents the error. The limit
    applies only in a gevent worker, since threads and commands may run long statements.
    """

    __slots__ = ("connection", "error", "greenlet", "running", "seconds", "silence")

    # By hub: the limits of greenlets that wait, and the watchdog over them.
    running_by_hub: ClassVar[WeakKeyDictionary[Any, "_Running"]] = WeakKeyDictionary()

    def __init__(self, seconds: float, error: Callable[..., Exception], connection: Any = None) -> None:
        """`error` is the driver's OperationalError."""
        self.seconds, self.error, self.connection = seconds, error, connection
        self.silence: _SilenceError | None = None
        self.running: _Running | None = None

    def __enter__(self) -> Self:
        if is_module_patched("socket"):
            self.checks_left = checks_within(self.seconds)
            self.greenlet = getcurrent()
            hub = get_hub()
            self.running = self.running_by_hub.get(hub) or self.running_by_hub.setdefault(hub, _Running(hub.loop))
            self.running.limits.add(self)
            self.running.watchdog.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running is not None:
            self.running.limits.discard(self)
        if error is not None and error is self.silence:
            raise no_answer(self.seconds, self.error) from None


class _Running:
    """The limits of one thread's greenlets that wait for a server."""

    def __init__(self, loop: Any) -> None:
        self.limits: set[TimeLimit] = set()
        self.watchdog = Watchdog(loop, lambda: self.limits, self._end)

    def _end(self, limit: TimeLimit) -> None:
        is_answered = limit.connection is not None and is_readable(limit.connection)
        if limit in self.limits and not is_answered:
            limit.silence = _SilenceError()
            limit.greenlet.throw(limit.silence)


def no_answer(seconds: float, error: Callable[..., Exception]) -> Exception:
    """Return the driver's error about a server that has said nothing for `seconds`."""
    log.warning("the database said nothing for %.1f s", seconds)
    return error(LOST_CONNECTION, NO_ANSWER)


def is_readable(connection: Any) -> bool:
    """Return True if data has arrived or the server has closed the connection. Asks the kernel, not the server."""
    try:
        handle = connection.fileno()
        poller = poll()
        poller.register(handle, READABLE)
        return bool(poller.poll(0))
    except (OSError, ValueError, AttributeError):
        return True
