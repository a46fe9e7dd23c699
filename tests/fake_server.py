"""A local HTTP server with scripted answers, standing in for SMS providers and object stores."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Answer:
    """What the server sends, `delay_seconds` after the request; a body that is not bytes is sent as JSON."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0

    def content(self) -> bytes:
        """The body's bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Received:
    """A request as it arrived; `headers` have lower-case names."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class FakeServer:
    """Serves `answers` in their order on a free port of 127.0.0.1, the last one again and again; a context manager."""

    def __init__(self, *answers: Answer) -> None:
        """Without any answer, an empty 200 is sent to everything."""
        self.answers = answers or (Answer(),)
        self.requests: list[Received] = []
        self.stopping = Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(self))
        # Handlers are joined at the end, so that no socket outlives its test.
        self.server.daemon_threads = False
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def address(self) -> str:
        """`127.0.0.1:port`."""
        return f"127.0.0.1:{self.server.server_port}"

    @property
    def url(self) -> str:
        """The address with its scheme."""
        return f"http://{self.address}"

    def answer(self, request: Received) -> Answer:
        """Record `request`, wait as the script says unless the server is stopping, and tell what to send."""
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        self.stopping.wait(answer.delay_seconds)
        return answer

    def __enter__(self) -> Self:
        """Start to serve."""
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut all delays short and leave neither a thread nor a socket behind."""
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def make_handler(fake: FakeServer) -> type[BaseHTTPRequestHandler]:
    """The handler class that reports to `fake`."""

    class Handler(BaseHTTPRequestHandler):
        # Needed for `Expect: 100-continue`, with which boto3 announces an upload.
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            """Read one request and answer it."""
            url = urlsplit(self.path)
            answer = fake.answer(
                Received(
                    method=self.command,
                    path=url.path,
                    query={name: values[0] for name, values in parse_qs(url.query).items()},
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(int(self.headers.get("Content-Length", 0))),
                )
            )
            try:
                self.reply(answer)
            except (BrokenPipeError, ConnectionResetError):
                # A client whose time-out was tested has hung up.
                self.close_connection = True

        def reply(self, answer: Answer) -> None:
            """Send `answer` and close, so that no client keeps a socket open beyond its test."""
            content = b"" if answer.status == 204 else answer.content()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = serve

        def log_message(self, format: str, *args: Any) -> None:
            """The test's own output is examined, so the server writes none."""

    return Handler


def refused_address() -> str:
    """An address of 127.0.0.1 at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
