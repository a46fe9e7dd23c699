"""Sends the head and the body of a response together, where gunicorn sends them separately.

If a worker is killed between the two (seen with kill -9), nginx has already passed on the head and cannot repeat the
request at another worker. Sent together, they are also one packet instead of two.
"""

from typing import Any

from gunicorn.http.wsgi import Response


class _Recorder:
    """Takes the place of the socket while gunicorn writes the head."""

    def __init__(self) -> None:
        self.written = b""

    def sendall(self, data: bytes) -> None:
        """Store `data` instead of sending it."""
        self.written += data


class JoinedResponse(Response):  # type: ignore[misc]
    """gunicorn's response. The head is sent with the first part of the body."""

    sock: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = b""
        self._is_file = False

    def send_headers(self) -> None:
        """Prepare the head. Before a file, which the kernel sends, and before chunks it is sent at once."""
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
        """Send a file by the kernel if possible. Return False if the body must be sent in another way."""
        self._is_file = True
        try:
            return bool(super().sendfile(respiter))
        finally:
            self._is_file = False

    def close(self) -> None:
        """Send the head if there was no body, then end the response."""
        if not self.headers_sent:
            self.send_headers()
        self._flush_head()
        super().close()

    def _flush_head(self) -> None:
        head, self._head = self._head, b""
        if head:
            self.sock.sendall(head)
