"""A TCP proxy on 127.0.0.1 that can be frozen: it keeps accepting, but nothing gets through, like a stopped server."""

import contextlib
import re
import socket
import threading
from types import TracebackType
from typing import Self


class FreezableProxy:
    """Forwards connections to one address until it is frozen, and again after it is thawed.

    A host that begins with a slash is the path of a socket of the machine's own; its port says nothing.
    `accepted` counts the connections, `answers` the pieces that have come from the server.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.flows = threading.Event()
        self.flows.set()
        self.trigger: re.Pattern[bytes] | None = None
        self.is_trigger_sent = False
        self.losing: re.Pattern[bytes] | None = None
        self.lost: socket.socket | None = None
        self.accepted = 0
        self.answers = 0
        self.last_answer: int | None = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.open: list[socket.socket] = []
        self.threads: list[threading.Thread] = []
        self._start(self._accept)

    def freeze(self) -> None:
        self.flows.clear()

    def freeze_at(self, trigger: bytes, *, is_sent: bool) -> None:
        """Freeze when a client sends what the expression `trigger` finds: before the server gets it, or just after."""
        self.trigger, self.is_trigger_sent = re.compile(trigger), is_sent

    def lose_answer_to(self, trigger: bytes) -> None:
        """Close the connection on which a client sends what `trigger` finds, once the server has answered it."""
        self.losing = re.compile(trigger)

    def freeze_after(self, answers: int) -> None:
        """Freeze when the server has sent so many pieces in all."""
        self.last_answer = answers
        if answers == 0:
            self.freeze()

    def thaw(self) -> None:
        self.trigger, self.last_answer = None, None
        self.flows.set()

    def _start(self, run, *args: object) -> None:
        thread = threading.Thread(target=run, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                self.accepted += 1
                self.open.append(near)
                far = self._reach()
                self.open.append(far)
                self._start(self._pump, near, far, self._note_question)
                self._start(self._pump, far, near, self._note_answer)

    def _reach(self) -> socket.socket:
        host, port = self.target
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        far = socket.socket(socket.AF_UNIX)
        far.connect(host)
        return far

    def _pump(self, source: socket.socket, sink: socket.socket, note) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.flows.wait()
                if source is self.lost:
                    # The server has done what it was asked; nobody is told.
                    break
                note(data, sink)
            sink.shutdown(socket.SHUT_WR)

    def _note_question(self, data: bytes, sink: socket.socket) -> None:
        if self.trigger and self.trigger.search(data):
            self.trigger = None
            self.freeze()
            if not self.is_trigger_sent:
                self.flows.wait()
        if self.losing and self.losing.search(data):
            self.losing, self.lost = None, sink
        sink.sendall(data)

    def _note_answer(self, data: bytes, sink: socket.socket) -> None:
        sink.sendall(data)
        self.answers += 1
        if self.answers == self.last_answer:
            self.freeze()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.thaw()
        for each in (self.listener, *self.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

        for thread in self.threads:
            thread.join(10)
        for each in (self.listener, *self.open):
            each.close()
