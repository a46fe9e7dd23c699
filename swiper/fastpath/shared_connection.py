"""A connection that all greenlets of a worker share.

Requests of the same moment are sent together. The server answers in the order of the requests, so each answer belongs
to the request that has waited longest. A busy worker sends and receives once for many requests. With a connection for
each request, every request would cost system calls and wake-ups in the worker and in the server.
"""

import logging
from collections import deque
from typing import Any

from gevent import get_hub

from swiper.fastpath.watchdog import PendingRequest, Watchdog, checks_within

log = logging.getLogger(__name__)

READABLE, WRITABLE = 1, 2


class SharedConnection:
    """The base class of such connections. `is_open` is False when a connection accepts no more requests.

    Methods with an underscore run in the hub, or behave as if they did: they must not wait.
    """

    def __init__(self, handle: int, seconds: float) -> None:
        """`handle` is the socket's file descriptor. An answer may take `seconds`."""
        self.hub = get_hub()
        self.is_open = True
        self.has_ended = False
        self.checks = checks_within(seconds)
        self.requests: deque[PendingRequest] = deque()
        self.is_sending = False
        loop = self.hub.loop
        self.when_readable, self.when_writable = loop.io(handle, READABLE), loop.io(handle, WRITABLE)
        self.watchdog = Watchdog(loop, lambda: self.requests, self._tell_late, self._end_if_unused)
        self.when_readable.start(self._receive)

    def call(self, question: Any) -> list[Any]:
        """Return the answers to a question. Raises the errors that `lost` and `late` make."""
        if not self.is_open:
            raise self.lost("it has ended")
        request = PendingRequest(question)
        self._add(request)
        if not self.is_sending:
            # The callback runs when no greenlet can run. All of them have added their requests by then.
            self.is_sending = True
            self.hub.loop.run_callback(self._send_all)
        answers: list[Any] = request.wait()
        return answers

    def start(self, request: PendingRequest) -> None:
        """Send a request at once. A greenlet waits for its answers, or will wait."""
        self._add(request)
        self._send()

    def close(self) -> None:
        """Close the connection soon. Greenlets that wait get the error of `lost`."""
        self.is_open = False
        self.hub.loop.run_callback(self._end, "it was closed")

    def put(self, request: PendingRequest) -> None:
        """Keep the data of a request until `_flush` sends it."""
        raise NotImplementedError

    def lost(self, why: str) -> Exception:
        """Make the error for greenlets that wait when the connection ends."""
        raise NotImplementedError

    def late(self) -> Exception:
        """Make the error for greenlets that have waited for too long."""
        raise NotImplementedError

    def disconnect(self) -> None:
        """Close the socket."""
        raise NotImplementedError

    def _flush(self) -> bool:
        """Send the data that was put. Return False if the kernel's buffer is full."""
        raise NotImplementedError

    def _read(self) -> None:
        """Read what has arrived, and resume the greenlets that it answers."""
        raise NotImplementedError

    def _add(self, request: PendingRequest) -> None:
        request.connection = self
        request.checks_left = self.checks
        self.requests.append(request)
        self.put(request)
        self.watchdog.start()

    def _send_all(self) -> None:
        self.is_sending = False
        self._send()

    def _send(self) -> None:
        if self.has_ended:
            return
        try:
            is_done = self._flush()
        except Exception as error:
            log.warning("a connection could not be written to: %s", type(error).__name__)
            self._end("it could not be written to")
            return
        if is_done and self.when_writable.active:
            self.when_writable.stop()
        elif not is_done and not self.when_writable.active:
            self.when_writable.start(self._send)

    def _receive(self) -> None:
        try:
            self._read()
        except Exception as error:
            if self.requests:
                log.warning("a connection could not be read from: %s", type(error).__name__)
            self._end("it could not be read from")
            return
        self._end_if_unused()

    def _tell_late(self, request: PendingRequest) -> None:
        # Nobody waits for the late answer, so other greenlets ask on a new connection.
        self.is_open = False
        request.fail(self.late())

    def _end_if_unused(self) -> None:
        if not self.is_open and not any(request.waiter for request in self.requests):
            self._end("nobody waits any more")

    def _end(self, why: str) -> None:
        if self.has_ended:
            return
        self.has_ended, self.is_open = True, False
        for watcher in (self.when_readable, self.when_writable):
            watcher.stop()
            watcher.close()
        self.watchdog.close()
        self.disconnect()
        requests, self.requests = self.requests, deque()
        for request in requests:
            request.fail(self.lost(why))
