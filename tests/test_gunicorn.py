"""gunicorn as config/gunicorn.py sets it up, alone, on the database and Redis of the test."""

import http.client
import json
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from flask import Flask

from chaos.burst import RequestSpec, loaded
from config.settings import Settings
from swiper.bans.services import ban_network
from swiper.extensions import db
from tests.factories import People
from tests.processes import Program, Visitor, answers_at, environment_of, free_port, gunicorn, is_running

STRANGER = "10.9.9.9"


class Servers:
    """Starts instances on free ports and ends them all."""

    def __init__(self, settings: Settings, folder: Path, stack: ExitStack) -> None:
        self.settings = settings
        self.folder = folder
        self.stack = stack

    def start(self, **changes: object) -> tuple[Program, int]:
        port = free_port()
        program = gunicorn(environment_of(self.settings, **changes), port, self.folder / f"gunicorn-{port}.log")
        self.stack.enter_context(program)
        program.wait_for(lambda: answers_at(f"http://127.0.0.1:{port}"), "gunicorn does not serve")
        return program, port

    def visit(self, port: int, sid: str | None = None) -> Visitor:
        visitor = self.stack.enter_context(Visitor(f"http://127.0.0.1:{port}", sid))
        # A connection that is kept open would be waited for at the end.
        visitor.headers["Connection"] = "close"
        return visitor


@pytest.fixture
def servers(app: Flask, settings: Settings, tmp_path: Path) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(settings, tmp_path, stack)


def ban(app: Flask, address: str) -> None:
    with app.app_context():
        ban_network(address)
        db.session.remove()


def half_a_login(port: int) -> socket.socket:
    """A connection on which half of a login's body has been sent; `finish` sends the rest."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    body = json.dumps({"phonenum": "13912345678", "vcode": "000000"}).encode()
    head = (
        f"POST /api/user/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    connection.sendall(head.encode() + b"\r\n" + body[:10])
    return connection


def finish(connection: socket.socket) -> http.client.HTTPResponse:
    connection.sendall(json.dumps({"phonenum": "13912345678", "vcode": "000000"}).encode()[10:])
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer


def test_graceful_stop_finishes_a_slow_request(servers: Servers) -> None:
    program, port = servers.start()
    with half_a_login(port) as slow:
        time.sleep(0.5)
        program.send(signal.SIGTERM)
        program.wait_for_line("Handling signal: term")
        time.sleep(0.5)
        assert program.process.poll() is None
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        with finish(slow) as answer:
            assert json.loads(answer.read())["code"] == 1000
    assert program.wait() == 0


def test_slow_bodies_leave_the_database_to_others(servers: Servers, people: People) -> None:
    """More of them than there are connections to the database, each from somebody whose account was just read."""
    _, port = servers.start(CACHE_TYPE="null")
    cookie = people.add(nickname="小红").client.get_cookie("swiper_session")
    assert cookie is not None
    slow = RequestSpec("POST", "/api/user/profile/modify", {"bio": "slow"}, cookie.value)
    with loaded([(f"http://127.0.0.1:{port}", slow)] * 45):
        # Who would wait for a connection in vain has been refused by now.
        time.sleep(2)
        answer = servers.visit(port, cookie.value).get("/api/user/profile", timeout=20)
        assert answer.json()["data"]["nickname"] == "小红"


def test_two_instances_live_side_by_side(servers: Servers, settings: Settings, people: People) -> None:
    """Each has a control socket of its own, both know the same sessions, and one's end is not the other's."""
    (first, first_port), (second, second_port) = servers.start(), servers.start()
    sockets = [settings.redis_socket.parent / f"gunicorn-{port}.ctl" for port in (first_port, second_port)]
    for path in sockets:
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) & 0o077 == 0
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
    cookie = people.add(nickname="小红").client.get_cookie("swiper_session")
    assert cookie is not None
    for port in (first_port, second_port):
        answer = servers.visit(port, cookie.value).get("/api/user/profile")
        assert answer.json()["data"]["nickname"] == "小红"
    workers = first.children()
    assert first.stop() == 0
    assert not any(is_running(worker.pid) for worker in workers)
    assert not sockets[0].exists()
    assert sockets[1].exists()
    assert second.process.poll() is None
    assert answers_at(f"http://127.0.0.1:{second_port}")


def test_connection_is_kept_longer_than_nginx_keeps_it(servers: Servers) -> None:
    _, port = servers.start()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        used = connection.sock
        # Beyond gunicorn's usual 2 s.
        time.sleep(3)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
        assert connection.sock is used
    finally:
        connection.close()


def test_without_a_trusted_proxy_nothing_forwarded_is_believed(servers: Servers, app: Flask) -> None:
    _, port = servers.start(TRUSTED_PROXIES=0)
    ban(app, STRANGER)
    forged = {"X-Forwarded-For": STRANGER, "X-Forwarded-Proto": "https", "X-Request-Id": "forged-request-id"}
    answer = servers.visit(port).get("/api/user/profile", headers=forged)
    assert answer.status_code == 401
    assert "Strict-Transport-Security" not in answer.headers
    assert answer.headers["X-Request-Id"] != "forged-request-id"
    ban(app, "127.0.0.1")
    answer = servers.visit(port).get("/api/user/profile", headers={"X-Forwarded-For": "8.8.8.8"})
    assert answer.json()["code"] == 1010


def test_one_trusted_proxy_vouches_for_the_last_hop_only(servers: Servers, app: Flask) -> None:
    _, port = servers.start(TRUSTED_PROXIES=1)
    ban(app, STRANGER)
    visitor = servers.visit(port)
    ask = "/api/user/profile"
    assert visitor.get(ask, headers={"X-Forwarded-For": f"{STRANGER}, 8.8.8.8"}).status_code == 401
    assert visitor.get(ask, headers={"X-Forwarded-For": f"8.8.8.8, {STRANGER}"}).status_code == 403
    # A spelling that WSGI could not tell from the real header is dropped.
    assert visitor.get(ask, headers={"X-Forwarded-For": STRANGER, "X_Forwarded_For": "8.8.8.8"}).status_code == 403
    answer = visitor.get("/healthz", headers={"X-Forwarded-Proto": "https"})
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_reload_serves_without_a_gap(servers: Servers) -> None:
    program, port = servers.start()
    before = {worker.pid for worker in program.children()}
    program.send(signal.SIGHUP)
    statuses = set()
    visitor = servers.visit(port)

    def is_renewed() -> bool:
        statuses.add(ask_patiently(visitor))
        return not before & {worker.pid for worker in program.children()}

    program.wait_for(is_renewed, "no new workers")
    assert statuses == {200}


def ask_patiently(visitor: Visitor) -> int:
    """A status; a kept connection that the old worker has just closed is opened anew, as nginx does for reads."""
    try:
        return visitor.get("/healthz").status_code
    except requests.ConnectionError:
        return visitor.get("/healthz").status_code


def test_instance_with_a_long_path_serves(servers: Servers, tmp_path: Path) -> None:
    """Its control socket moves to a short path, whose folder nobody else has made."""
    instance = tmp_path / ("deep-" * 20) / "instance"
    program, port = servers.start(SWIPER_INSTANCE=instance)
    short = Settings(_env_file=None, instance=instance).redis_socket.parent / f"gunicorn-{port}.ctl"
    assert short.exists()
    assert stat.S_IMODE(short.parent.stat().st_mode) == 0o700
    assert program.stop() == 0
    short.parent.rmdir()


# --- bodies that break off ---

# Heads of requests to views that read their body, that take none, and that no rule fits.
PLACES = ["POST /api/user/login", "POST /api/user/logout", "DELETE /api/user/photos/5", "GET /healthz", "POST /no/such"]
BAD_CHUNKS = [
    b"x\r\n{}\r\n0\r\n\r\n",
    b"-2\r\n{}\r\n",
    b"2\r\n{}x\r\n0\r\n\r\n",
    b"2 2\r\n{}\r\n",
    b"\r\n\r\n",
    b"0x2\r\n{}\r\n",
]


def raw_answer(port: int, request: bytes, is_closed: bool = False) -> tuple[int, bytes]:
    """Status and body of the answer to bytes as they are; `is_closed` says that nothing more will come."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        if is_closed:
            connection.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


def test_a_bad_chunk_is_the_client_s_fault_and_leaves_no_traceback(servers: Servers) -> None:
    program, port = servers.start()
    for place in PLACES:
        for chunk in BAD_CHUNKS:
            head = (
                f"{place} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            status, body = raw_answer(port, head.encode() + chunk)
            assert status in (200, 400, 401, 404), (place, chunk, body)
            if place.endswith("login"):
                assert (status, json.loads(body)["code"]) == (400, 1005)
                assert "chunks" in json.loads(body)["message"]
    log = program.log.read_text()
    assert "Traceback" not in log
    assert len(log.splitlines()) < 40


def test_a_client_that_stops_in_the_middle_leaves_no_traceback(servers: Servers) -> None:
    program, port = servers.start()
    for place in PLACES:
        for rest in ("Content-Length: 500\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n50\r\n{}"):
            head = f"{place} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{rest}"
            status, body = raw_answer(port, head.encode(), is_closed=True)
            assert status in (200, 400, 401, 404), (place, rest, body)
            if place.endswith("login"):
                assert (status, json.loads(body)["code"]) == (400, 1005)
    assert "Traceback" not in program.log.read_text()


def test_a_chunked_body_is_taken_up_to_the_limit_and_refused_beyond(servers: Servers) -> None:
    _, port = servers.start()
    body = json.dumps({"phonenum": "13912345678", "vcode": "000000"}).encode()
    head = b"POST /api/user/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    for padding, expected in ((0, (400, 1000)), (60_000, (400, 1000)), (66_000, (413, 1005))):
        full = body + b" " * padding
        status, answer = raw_answer(port, head + f"{len(full):x}\r\n".encode() + full + b"\r\n0\r\n\r\n")
        assert (status, json.loads(answer)["code"]) == expected


def test_an_instance_refuses_connections_until_its_application_is_loaded(servers: Servers) -> None:
    port = free_port()
    program = gunicorn(environment_of(servers.settings), port, servers.folder / "loading.log")
    servers.stack.enter_context(program)
    program.wait_for_line("Listening at")
    with socket.socket() as early, pytest.raises(ConnectionRefusedError):
        early.connect(("127.0.0.1", port))
    assert "worker serves" not in program.output
    program.wait_for(lambda: answers_at(f"http://127.0.0.1:{port}"), "gunicorn does not serve")


def test_idle_connections_do_not_delay_the_end(servers: Servers) -> None:
    # Longer than the tests wait for the end of a process.
    program, port = servers.start(GUNICORN_CMD_ARGS="--graceful-timeout 300")
    with Visitor(f"http://127.0.0.1:{port}") as visitor:
        assert visitor.get("/healthz").status_code == 200
        assert program.stop() == 0


def test_whoever_has_connected_before_the_end_is_served(servers: Servers) -> None:
    """The worker is stopped, so that the connection waits in the kernel when the signal comes."""
    program, port = servers.start()
    (worker,) = program.children()
    worker.suspend()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as waiting:
        waiting.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        program.send(signal.SIGTERM)
        program.wait_for_line("Handling signal: term")
        # The worker's loop sees its end as soon as it goes on.
        time.sleep(1.2)
        worker.resume()
        assert waiting.recv(12) == b"HTTP/1.1 200"


def test_garbage_is_collected_as_soon_as_the_application_is_loaded(settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    with gunicorn(environment_of(settings), port, tmp_path / "log", "tests.garbage_app:app") as program:
        program.wait_for(lambda: answers_at(f"http://127.0.0.1:{port}"), "gunicorn does not serve")
        state = requests.get(f"http://127.0.0.1:{port}/", timeout=5).json()
    assert state == {"at load": False, "now": True, "frozen": True}
