"""Requests that arrive at the same moment: each is sent but for its last byte, then all last bytes follow at once."""

import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any, Self
from urllib.parse import urlsplit

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Shot:
    """A request; `sid` is the caller's session, `body` is sent as JSON unless it is bytes."""

    method: str
    path: str
    body: Any = None
    sid: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def raw(self, host: str) -> bytes:
        """The bytes on the wire."""
        content = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode() if self.body else b""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}", "Connection: close"]
        if self.sid:
            lines.append(f"Cookie: swiper_session={self.sid}")
        if self.method != "GET":
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
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
    def data(self) -> Any:
        """The envelope's data."""
        return self.json["data"]


def volley(bases: str | Sequence[str], shots: Sequence[Shot], at_once: int | None = None) -> list[Answer]:
    """Fire `shots`, all or `at_once` of them at the same moment; the answers in the order of the shots.

    With several `bases` the shots go to them in turn, past any load balancer.
    """
    addresses = [bases] if isinstance(bases, str) else list(bases)
    size = at_once or len(shots)
    answers: list[Answer] = []
    for start in range(0, len(shots), size):
        group = shots[start : start + size]
        answers += _fire([(addresses[number % len(addresses)], shot) for number, shot in enumerate(group)])
    return answers


def _fire(aimed: Sequence[tuple[str, Shot]]) -> list[Answer]:
    loaded: list[tuple[socket.socket, bytes]] = []
    try:
        for base, shot in aimed:
            host = urlsplit(base).netloc
            name, _, port = host.partition(":")
            raw = shot.raw(host)
            connection = socket.create_connection((name, int(port)), timeout=PATIENCE_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            loaded.append((connection, raw[-1:]))
            connection.sendall(raw[:-1])
        # All the servers have read what there is, and wait.
        time.sleep(0.02)
        started = time.monotonic()
        for connection, last in loaded:
            connection.sendall(last)
        return [_read(connection, started) for connection, _ in loaded]
    finally:
        for connection, _ in loaded:
            connection.close()


def _read(connection: socket.socket, started: float) -> Answer:
    try:
        response = HTTPResponse(connection)
        response.begin()
        body = response.read()
    except (OSError, HTTPException) as error:
        return Answer.none(error)
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, body, time.monotonic() - started)
