"""nginx before two gunicorn instances, and what its tests ask it by."""

import http.client
import io
import socket
from dataclasses import dataclass
from pathlib import Path

import requests
from flask import Flask
from PIL import Image

from swiper.bans.services import ban_network, unban_network
from swiper.extensions import db
from tests.factories import Person
from tests.processes import Program, Visitor, answers_at, gunicorn

STRANGER = "10.9.9.9"


@dataclass
class Front:
    """nginx on `port`, the instances behind it, and how to start such an instance anew."""

    folder: Path
    env: dict[str, str]
    port: int
    instances: dict[int, Program]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def visit(self, person: Person | None = None) -> Visitor:
        """A client of nginx, with the session of `person`."""
        cookie = person.client.get_cookie("swiper_session") if person else None
        return Visitor(self.base, cookie.value if cookie else None)

    def start_instance(self, port: int) -> None:
        self.instances[port] = gunicorn(self.env, port, self.folder / f"gunicorn-{port}.log")

    def wait_for_instance(self, port: int) -> None:
        self.instances[port].wait_for(lambda: answers_at(f"http://127.0.0.1:{port}"), "the instance does not serve")


def header_lines(answer: requests.Response, name: str) -> list[str]:
    """Every line of a header, which requests would otherwise join."""
    return answer.raw.headers.getlist(name)


def picture(width: int = 40) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, width), "teal").save(out, "JPEG")
    return out.getvalue()


def ban(app: Flask, address: str) -> None:
    with app.app_context():
        ban_network(address)
        db.session.remove()


def unban(app: Flask, address: str) -> None:
    with app.app_context():
        unban_network(address)
        db.session.remove()


def is_up(port: int) -> bool:
    """True when anything answers at all."""
    try:
        with Visitor(f"http://127.0.0.1:{port}") as visitor:
            return visitor.get("/", allow_redirects=False).status_code == 301
    except requests.RequestException:
        return False


def raw_answer(port: int, request: bytes) -> http.client.HTTPResponse:
    """The answer to bytes as they are, its body read."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        answer.body = answer.read()  # type: ignore[attr-defined]
        return answer
