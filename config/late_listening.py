"""An instance of gunicorn refuses connections until its application is loaded, so that nginx asks another instance.

gunicorn listens before it starts its workers, and each of them loads the application for seconds. Whoever connects in
between would wait for that, or for ever if it cannot be loaded. Here the socket is only bound at first; the first
worker that is ready lets it listen, which holds for all workers since they share it.
"""

import functools
import socket
from collections.abc import Iterable
from typing import Any

from gunicorn.sock import BaseSocket

from config.limits import BACKLOG


class _Bound(socket.socket):
    """A socket that leaves `listen` to `begin_listening`."""

    def listen(self, backlog: int = 0, /) -> None:
        """Do nothing yet."""


def listen_late() -> None:
    """Let gunicorn bind its sockets without listening; to be called by the master before it makes them."""
    original = BaseSocket.set_options
    if hasattr(original, "__wrapped__"):
        # The configuration is read anew by each HUP.
        return

    @functools.wraps(original)
    def set_options(self: Any, sock: socket.socket, bound: bool = False) -> socket.socket:
        quiet = _Bound(sock.family, sock.type, sock.proto, fileno=sock.detach())
        return original(self, quiet, bound=bound)  # type: ignore[no-any-return]

    BaseSocket.set_options = set_options


def begin_listening(sockets: Iterable[Any]) -> None:
    """Listen on each of a worker's sockets that does not yet."""
    for each in sockets:
        if not each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            each.listen(BACKLOG)
