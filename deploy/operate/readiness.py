"""Asks a web instance on its unix socket whether it can serve."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 5


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE_SECONDS)
        self._path = path

    def connect(self) -> None:
        """See `HTTPConnection`."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE_SECONDS)
        self.sock.connect(str(self._path))


def ask_readiness(path: Path) -> tuple[bool, str]:
    """Return whether `/readyz` is answered with 200 on the socket at `path`, and if not, what is wrong in short."""
    connection = _UnixConnection(path)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        body = answer.read()
    except (FileNotFoundError, ConnectionRefusedError):
        return False, "does not listen"
    except (OSError, http.client.HTTPException) as error:
        return False, f"does not answer ({type(error).__name__})"
    finally:
        connection.close()
    if answer.status == 200:
        return True, ""
    return False, f"answers {answer.status}{_parts_away(body)}"


def _parts_away(body: bytes) -> str:
    """Return which parts fail by the answer of `/readyz`, in words, or nothing if it is none of that kind."""
    try:
        parts: dict[str, Any] = json.loads(body)["data"]
        away = [name for name, is_there in parts.items() if is_there is False]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return f": {', '.join(away)} failed" if away else ""
