"""gunicorn's worker for gevent, with an end that loses no connection and does not wait for idle ones."""

import select
import time
from typing import Any

import gevent
from gunicorn.workers.ggevent import GeventWorker

# A connection that the kernel has taken just before the socket lost its path is accepted in this time. gunicorn closes
# the socket up to a second later, and the kernel then resets what nobody has accepted.
DRAIN_SECONDS = 0.3
# While other workers of an instance accept (HUP), there may always be somebody who waits.
LONGEST_DRAIN_SECONDS = 3.0


class GracefulWorker(GeventWorker):  # type: ignore[misc]
    """On SIGTERM: accept what waits, then stop accepting, close kept connections without a request, finish the others.

    Stock gunicorn waits for idle connections of nginx until its graceful timeout (30 s) is over.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `GeventWorker`."""
        super().__init__(*args, **kwargs)
        # Connections that have had an answer and wait for the next request, by their greenlets.
        self.idle: dict[Any, gevent.Timeout] = {}
        self.answered: set[Any] = set()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """End later: a signal's handler must not wait."""
        gevent.spawn(self._drain)

    def _drain(self) -> None:
        deadline = time.monotonic() + LONGEST_DRAIN_SECONDS
        gevent.sleep(DRAIN_SECONDS)
        while self._has_waiting() and time.monotonic() < deadline:
            gevent.sleep(0.02)
        self.alive = False
        for greenlet, timeout in list(self.idle.items()):
            greenlet.kill(timeout, block=False)

    def _has_waiting(self) -> bool:
        """Return True if the kernel holds a connection that nobody has accepted."""
        poll = select.poll()
        for listener in self.sockets:
            if listener.fileno() >= 0:
                poll.register(listener.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """See `GeventWorker`."""
        try:
            super().handle(listener, client, addr)
        finally:
            self.answered.discard(gevent.getcurrent())

    def timeout_ctx(self) -> Any:
        """Wait for the next request of a connection."""
        return _Wait(self)


class _Wait:
    """A context manager that waits for a request as long as gunicorn does; of a kept connection, until the worker ends.

    The first request of a connection is always waited for: it may be on its way.
    """

    def __init__(self, worker: GracefulWorker) -> None:
        self.worker = worker
        self.greenlet = gevent.getcurrent()
        self.is_kept = self.greenlet in worker.answered
        is_ending = self.is_kept and not worker.alive
        self.timeout = gevent.Timeout(0 if is_ending else worker.cfg.keepalive, False)

    def __enter__(self) -> None:
        if self.is_kept:
            self.worker.idle[self.greenlet] = self.timeout
        self.worker.answered.add(self.greenlet)
        self.timeout.__enter__()

    def __exit__(self, *raised: Any) -> bool:
        self.worker.idle.pop(self.greenlet, None)
        return bool(self.timeout.__exit__(*raised))
