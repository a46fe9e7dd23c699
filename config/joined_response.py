"""gunicorn writes the head of an answer and its body separately; here they leave together.

A worker that is killed between the two leaves a truncated answer, which nginx has begun to pass on and can no longer
ask another instance for (seen under kill -9). Together they are also one packet instead of two.
"""

from typing import Any

from gunicorn.http.wsgi import Response


class _Recorder:
    """Takes the place of the socket while gunicorn composes the head."""

    def __init__(self) -> None:
        self.written = b""

    def sendall(self, data: bytes) -> None:
        """Keep `data`."""
        self.written += data


class JoinedResponse(Response):  # type: ignore[misc]
    """gunicorn's response, whose head waits for the first piece of the body."""

    sock: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = b""
        self._is_file = False

    def send_headers(self) -> None:
        """Compose the head; a file is sent by the kernel, so its head goes first."""
        if self.headers_sent:
            return
        socket, self.sock = self.sock, _Recorder()
        try:
            super().send_headers()
            self._head = self.sock.written
        finally:
            self.sock = socket
        if self._is_file or self.chunked:
            self._flush_head()

    def _emit_body(self, data: bytes) -> None:
        head, self._head = self._head, b""
        super()._emit_body(head + data)

    def sendfile(self, respiter: Any) -> bool:
        """See gunicorn."""
        self._is_file = True
        try:
            return bool(super().sendfile(respiter))
        finally:
            self._is_file = False

    def close(self) -> None:
        """Send a head that has had no body, then end the answer."""
        if not self.headers_sent:
            self.send_headers()
        self._flush_head()
        super().close()

    def _flush_head(self) -> None:
        head, self._head = self._head, b""
        if head:
            self.sock.sendall(head)
