"""The process that answers Prometheus, as an operator starts it."""

import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from config.settings import ROOT, Settings
from tests.processes import BIN, Program, Visitor, answers_at, environment_of, free_port


@contextmanager
def serving(settings: Settings, bind: str, log: Path) -> Iterator[Program]:
    """The metrics server on `bind`."""
    command = (BIN / "gunicorn", "-c", ROOT / "config/gunicorn_metrics.py", "metrics_server:app")
    with Program(command, environment_of(settings, METRICS_BIND=bind), log) as server:
        yield server


def test_it_answers_prometheus_on_its_own_port_alone(app: Flask, settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with serving(settings, f"127.0.0.1:{port}", tmp_path / "log") as server:
        server.wait_for(lambda: answers_at(base, "/metrics"), "no metrics")
        with Visitor(base) as visitor:
            answer = visitor.get("/metrics")
            assert visitor.get("/api/vip/levels").status_code == 404
        names = {family.name for family in text_string_to_metric_families(answer.text)}
        assert {"swiper_http_requests", "swiper_source_up", "swiper_queue_length", "swiper_sign_ups"} <= names
        assert server.stop() == 0
    assert "Traceback" not in server.output


class SocketConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def test_its_socket_is_closed_to_other_users(app: Flask, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    with serving(settings, f"unix:{path}", tmp_path / "log") as server:
        server.wait_for_line("Booting worker")
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        connection = SocketConnection(path)
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        assert answer.status == 200
        assert b"swiper_source_up" in answer.read()
        connection.close()


@pytest.mark.parametrize("bind", ["9180", "127.0.0.1:8000"])
def test_a_wrong_or_public_address_stops_it(app: Flask, settings: Settings, tmp_path: Path, bind: str) -> None:
    with serving(settings, bind, tmp_path / "log") as server:
        assert server.wait() != 0
        assert "METRICS_BIND" in server.output
