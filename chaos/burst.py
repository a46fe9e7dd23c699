"""Requests that arrive at the same moment: each is sent but for its last byte, then all last bytes follow at once."""

import json
import math
import re
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any, Self
from urllib.parse import urlsplit

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class RequestSpec:
    """A request; `session_id` is the caller's session, `body` is sent as JSON unless it is bytes.

    `source` is the address that it comes from; on Linux all of 127.0.0.0/8 is this machine.
    """

    method: str
    path: str
    body: Any = None
    session_id: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    source: str = "127.0.0.1"

    def raw(self, host: str) -> bytes:
        """The bytes on the wire."""
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode() if self.body else b""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}", "Connection: close"]
        if self.session_id:
            # The second is production's name.
            lines.append(f"Cookie: swiper_session={self.session_id}; __Host-swiper_session={self.session_id}")
        if self.method != "GET":
            lines.append(f"Content-Length: {len(content)}")
            lines += [] if "Content-Type" in self.headers else ["Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


@dataclass(frozen=True)
class Answer:
    """An answer, or with status 0 the reason why there was none."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @classmethod
    def none(cls, error: Exception) -> Self:
        """What stands for an answer that did not come."""
        return cls(0, {}, repr(error).encode(), 0.0)

    @property
    def json(self) -> Any:
        """The envelope."""
        return json.loads(self.body)

    @property
    def code(self) -> int:
        """The envelope's code; -1 where there is none."""
        return int(self.json["code"]) if self.status and self.body[:1] == b"{" else -1

    @property
    def cookie(self) -> str | None:
        """The session id that the answer sets."""
        found = re.search(r"swiper_session=([^;]+)", self.headers.get("set-cookie", ""))
        return found[1] if found else None

    @property
    def data(self) -> Any:
        """The envelope's data."""
        return self.json["data"]


def burst(bases: str | Sequence[str], specs: Sequence[RequestSpec], at_once: int | None = None) -> list[Answer]:
    """Fire `specs`, all or `at_once` of them at the same moment; the answers in the order of the specs.

    With several `bases` the specs go to them in turn, past any load balancer.
    """
    addresses = [bases] if isinstance(bases, str) else list(bases)
    size = at_once or len(specs)
    answers: list[Answer] = []
    for start in range(0, len(specs), size):
        group = specs[start : start + size]
        answers += _fire([(addresses[number % len(addresses)], spec) for number, spec in enumerate(group)])
    return answers


def _fire(aimed: Sequence[tuple[str, RequestSpec]]) -> list[Answer]:
    with loaded(aimed) as fire:
        # All the servers have read what there is, and wait.
        time.sleep(0.02)
        return fire()


@contextmanager
def loaded(aimed: Iterable[tuple[str, RequestSpec]]) -> Iterator[Callable[[], list[Answer]]]:
    """Requests, each with the address it goes to, that wait for their last byte; what comes in sends it, once."""
    waiting: list[tuple[socket.socket, bytes]] = []

    def fire() -> list[Answer]:
        started = time.monotonic()
        for connection, last in waiting:
            connection.sendall(last)
        arrivals = _await_all([connection for connection, _ in waiting])
        return [_read(connection, arrivals.get(connection, math.inf) - started) for connection, _ in waiting]

    try:
        for base, spec in aimed:
            host = urlsplit(base).netloc
            name, _, port = host.partition(":")
            raw = spec.raw(host)
            connection = socket.create_connection((name, int(port)), PATIENCE_SECONDS, (spec.source, 0))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            waiting.append((connection, raw[-1:]))
            connection.sendall(raw[:-1])
        yield fire
    finally:
        for connection, _ in waiting:
            connection.close()


def _await_all(connections: Sequence[socket.socket]) -> dict[socket.socket, float]:
    """When each answer began to arrive; one that keeps silent for `PATIENCE_SECONDS` has no entry."""
    arrivals: dict[socket.socket, float] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ, connection)
        while selector.get_map() and time.monotonic() < deadline:
            for key, _ in selector.select(1.0):
                arrivals[key.data] = time.monotonic()
                selector.unregister(key.fileobj)
    return arrivals


def _read(connection: socket.socket, seconds: float) -> Answer:
    if seconds == math.inf:
        return Answer.none(TimeoutError(f"no answer in {PATIENCE_SECONDS:.0f} s"))
    try:
        response = HTTPResponse(connection)
        response.begin()
        body = response.read()
    except (OSError, HTTPException) as error:
        return Answer.none(error)
    # Several of one name, such as cookies, are joined with the first one first.
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        headers[name.lower()] = ", ".join([*filter(None, [headers.get(name.lower())]), value])
    return Answer(response.status, headers, body, seconds)
