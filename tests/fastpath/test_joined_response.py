"""An answer leaves in one piece, so that a killed worker leaves either all of it or nothing."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.wsgi import FileWrapper

from config.joined_response import JoinedResponse


class Socket:
    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.pieces.append(data)


def respond(
    *body: bytes, method: str = "GET", headers: list[tuple[str, str]] | None = None, status: str = "200 OK"
) -> Any:
    request = SimpleNamespace(method=method, version=(1, 1), headers=[], should_close=lambda: False, trailers=[])
    socket = Socket()
    response = JoinedResponse(request, socket, Config())
    response.start_response(status, headers if headers is not None else [("Content-Length", str(sum(map(len, body))))])
    for piece in body:
        response.write(piece)
    response.close()
    return socket.pieces


def test_head_and_body_are_one_piece() -> None:
    (whole,) = respond(b'{"code":0}')
    head, body = whole.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 10" in head
    assert body == b'{"code":0}'


def test_later_pieces_follow_without_another_head() -> None:
    first, second = respond(b"ab", b"cd")
    assert first.endswith(b"\r\n\r\nab")
    assert second == b"cd"


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "304 NOT MODIFIED"), ("GET", "204 NO CONTENT")]
)
def test_an_answer_without_a_body_has_its_head(method: str, status: str) -> None:
    (whole,) = respond(method=method, status=status, headers=[])
    assert whole.endswith(b"\r\n\r\n")


def test_a_body_of_unknown_length_is_sent_in_chunks_behind_the_head() -> None:
    head, *chunks = respond(b"ab", b"cd", headers=[])
    assert b"chunked" in head
    assert head.endswith(b"\r\n\r\n")
    assert b"".join(chunks) == b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"


def test_a_file_has_its_head_once() -> None:
    request = SimpleNamespace(method="GET", version=(1, 1), headers=[], should_close=lambda: False, trailers=[])
    socket = Socket()
    response = JoinedResponse(request, socket, Config())
    response.start_response("200 OK", [("Content-Length", "7")])
    response.write_file(FileWrapper(io.BytesIO(b"picture")))
    response.close()
    assert b"".join(socket.pieces).count(b"HTTP/1.1") == 1
    assert b"".join(socket.pieces).endswith(b"\r\n\r\npicture")
