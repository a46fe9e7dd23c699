"""A relay before a server that counts how often a client waits for it."""

import contextlib
import selectors
import socket
import threading
import time
from types import TracebackType
from typing import Self


class CountingRelay:
    """Forwards connections to one port of 127.0.0.1; a context manager.

    A round trip begins when a client sends something after the server has answered all that came before, so commands
    that are sent together are one. `round_trips` has the moment of each by the monotonic clock.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.round_trips: list[float] = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.asleep, self.waker = socket.socketpair()
        self.selector.register(self.asleep, selectors.EVENT_READ)
        # By both ends of each connection: the other end. And the clients that wait for an answer.
        self.other: dict[socket.socket, socket.socket] = {}
        self.clients: set[socket.socket] = set()
        self.waiting: set[socket.socket] = set()
        self.thread = threading.Thread(target=self._run)

    def count(self, start: float, end: float) -> int:
        """How many round trips began between two moments."""
        return sum(start <= moment <= end for moment in list(self.round_trips))

    def _run(self) -> None:
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.asleep:
                    return
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fileobj in self.other:
                    self._pass_on(key.fileobj)

    def _accept(self) -> None:
        near, _ = self.listener.accept()
        far = socket.create_connection(("127.0.0.1", self.target))
        for end, other in ((near, far), (far, near)):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.other[end] = other
            self.selector.register(end, selectors.EVENT_READ)
        self.clients.add(near)

    def _pass_on(self, source: socket.socket) -> None:
        sink = self.other[source]
        try:
            data = source.recv(1 << 20)
            if data:
                self._note(source, sink)
                sink.sendall(data)
        except OSError:
            data = b""
        if not data:
            self._close(source, sink)

    def _note(self, source: socket.socket, sink: socket.socket) -> None:
        if source not in self.clients:
            self.waiting.discard(sink)
        elif source not in self.waiting:
            self.waiting.add(source)
            self.round_trips.append(time.monotonic())

    def _close(self, *ends: socket.socket) -> None:
        for end in ends:
            self.selector.unregister(end)
            self.other.pop(end)
            self.clients.discard(end)
            self.waiting.discard(end)
            end.close()

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.waker.send(b"x")
        self.thread.join()
        self._close(*self.other)
        for each in (self.listener, self.asleep, self.waker):
            each.close()
        with contextlib.suppress(OSError):
            self.selector.close()
