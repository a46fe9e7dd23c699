"""nginx, as nginx/swiper.conf sets it up, before two real gunicorn instances."""

import http.client
import io
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask import Flask
from PIL import Image

from config.settings import Settings
from swiper.bans.services import ban_network, unban_network
from swiper.extensions import db
from swiper.http.hooks import SECURITY_HEADERS
from tests.factories import People, Person
from tests.front import CONFIG, render, start_nginx
from tests.processes import PATIENCE_SECONDS, Program, Visitor, answers_at, environment_of, free_port, gunicorn

pytestmark = pytest.mark.services

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


@pytest.fixture(scope="module")
def front(settings: Settings, migrated_app: Flask, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("nginx")
    env = environment_of(settings, TRUSTED_PROXIES=1)
    front = Front(folder, env, free_port(), {})
    upstreams = [free_port(), free_port()]
    for port in upstreams:
        front.start_instance(port)
    nginx = start_nginx(folder, render(folder, settings.media_dir, front.port, upstreams))
    try:
        for port in upstreams:
            front.wait_for_instance(port)
        nginx.wait_for(lambda: answers_at(front.base), "nginx does not serve")
        yield front
    finally:
        for program in (nginx, *front.instances.values()):
            program.__exit__(None, None, None)


@pytest.fixture
def visitor(front: Front, app: Flask) -> Iterator[Visitor]:
    """A stranger."""
    with front.visit() as visitor:
        yield visitor


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


def test_api_answers_through_nginx(front: Front, people: People) -> None:
    person = people.add(nickname="小明")
    with front.visit(person) as visitor:
        answer = visitor.get("/api/user/profile")
        assert answer.status_code == 200
        assert answer.json()["data"]["nickname"] == "小明"
        assert visitor.get("/api/nowhere").json()["code"] == 1009
        assert "nginx/" not in answer.headers["Server"]


def test_request_id_is_made_by_nginx_and_the_same_in_the_application(front: Front, visitor: Visitor) -> None:
    answer = visitor.get("/healthz", headers={"X-Request-Id": "forged-by-a-client"})
    (request_id,) = header_lines(answer, "X-Request-Id")
    assert len(request_id) == 32
    access_log = front.folder / "swiper-access.log"
    assert f"id={request_id}" in access_log.read_text()


def test_phone_numbers_stay_out_of_the_access_log(front: Front, visitor: Visitor) -> None:
    assert visitor.get("/api/user/verify", params={"phonenum": "13912345678"}).status_code == 200
    assert "13912345678" not in (front.folder / "swiper-access.log").read_text()


@pytest.mark.parametrize(
    "forged",
    [
        {"X-Forwarded-For": STRANGER},
        {"X-Forwarded-For": f"{STRANGER}, {STRANGER}"},
        {"X-Real-IP": STRANGER, "Forwarded": f"for={STRANGER}"},
        {"X_Forwarded_For": STRANGER},
    ],
)
def test_client_cannot_forge_its_address(app: Flask, visitor: Visitor, forged: dict[str, str]) -> None:
    ban(app, STRANGER)
    assert visitor.get("/api/user/profile", headers=forged).status_code == 401
    ban(app, "127.0.0.1")
    unban(app, STRANGER)
    answer = visitor.get("/api/user/profile", headers=forged)
    assert (answer.status_code, answer.json()["code"]) == (403, 1010)


def test_client_cannot_forge_scheme_or_host(visitor: Visitor) -> None:
    answer = visitor.get("/healthz", headers={"X-Forwarded-Proto": "https"})
    assert "Strict-Transport-Security" not in answer.headers
    # A change from a page of another origin is refused although the page names itself as the host.
    forged = {"Origin": "http://evil.example", "X-Forwarded-Host": "evil.example"}
    assert visitor.post("/api/user/verify", json={"phonenum": "13912345678"}, headers=forged).status_code == 403


def test_page_of_our_own_origin_may_change_things(front: Front, visitor: Visitor) -> None:
    answer = visitor.post("/api/user/verify", json={"phonenum": "13912345678"}, headers={"Origin": front.base})
    assert answer.status_code == 200


def test_security_headers_come_once(visitor: Visitor) -> None:
    for path in ("/", "/healthz", "/api/vip/levels", "/api/user/profile", "/assets/tokens.css", "/api/nowhere"):
        answer = visitor.get(path)
        for name, value in SECURITY_HEADERS.items():
            assert header_lines(answer, name) == [value], (path, name)
        assert len(header_lines(answer, "X-Request-Id")) == 1
        assert len(header_lines(answer, "Cache-Control")) <= 1


def test_upload_and_assets_are_served_by_nginx_itself(front: Front, people: People) -> None:
    person = people.add()
    with front.visit(person) as visitor:
        answer = visitor.post("/api/user/avatar/upload", files={"avatar": ("a.jpg", picture(), "image/jpeg")})
        assert answer.status_code == 201, answer.text
        url = answer.json()["data"]["url"]
        for program in front.instances.values():
            program.send(signal.SIGSTOP)
        try:
            shown = visitor.get(url, timeout=10)
            asset = visitor.get("/assets/tokens.css", timeout=10)
            missing = visitor.get("/media/ab/" + "0" * 32 + ".jpg", timeout=10)
            partial = visitor.get("/media/../swiper.db", timeout=10)
        finally:
            for program in front.instances.values():
                program.send(signal.SIGCONT)
    assert (shown.status_code, shown.headers["Content-Type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(shown.content)).size == (40, 40)
    assert "immutable" in shown.headers["Cache-Control"]
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    assert asset.status_code == 200
    assert asset.headers["Content-Type"].startswith("text/css")
    assert (missing.status_code, missing.json()["code"]) == (404, 1009)
    assert partial.status_code in (400, 404)


def test_too_large_body_gets_the_envelope(front: Front, people: People) -> None:
    person = people.add()
    with front.visit(person) as visitor:
        large = {"avatar": ("a.jpg", b"\xff" * (10 * 1024 * 1024 + 70_000), "image/jpeg")}
        answer = visitor.post("/api/user/avatar/upload", files=large, headers={"Accept-Language": "zh-CN"})
        assert (answer.status_code, answer.json()) == (413, {"code": 1005, "data": None, "message": "请求体过大。"})
        assert answer.headers["Content-Type"].startswith("application/json")
        for name in ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy"):
            assert len(header_lines(answer, name)) == 1, name
        answer = visitor.post("/api/user/profile/modify", json={"bio": "x" * 300_000})
        assert (answer.status_code, answer.json()["message"]) == (413, "The body is too large.")
        # A picture of just 10 MB reaches the application, which says what is wrong with it.
        full = {"avatar": ("a.jpg", b"\xff" * (10 * 1024 * 1024), "image/jpeg")}
        assert visitor.post("/api/user/avatar/upload", files=full).status_code == 422


def test_levels_page_is_kept_for_a_moment_and_knows_no_cookie(front: Front, people: People) -> None:
    with front.visit(people.add()) as visitor:
        answers = [visitor.get("/api/vip/levels") for _ in range(4)]
    assert "HIT" in [answer.headers["X-Cache-Status"] for answer in answers]
    assert {answer.text for answer in answers} == {answers[0].text}
    assert all("Set-Cookie" not in answer.headers for answer in answers)
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 4
    with front.visit() as visitor:
        again = visitor.get("/api/vip/levels", headers={"If-None-Match": answers[-1].headers["ETag"]})
        assert again.status_code == 304
        assert "X-Cache-Status" not in visitor.get("/api/social/hot").headers


class Crowd:
    """Clients that read and swipe without pause, each for themself; every answer but 200 is a failure."""

    def __init__(self, front: Front, people: People, *, clients: int = 4, targets: int = 150) -> None:
        self.front = front
        self.swipers = [people.woman(vip=2) for _ in range(clients)]
        self.targets = [people.add(is_complete=False).id for _ in range(targets)]
        self.failures: list[str] = []
        self.served = 0
        self.stopping = threading.Event()
        self.pool = ThreadPoolExecutor(clients)

    def __enter__(self) -> "Crowd":
        self.runs = [self.pool.submit(self.run, swiper) for swiper in self.swipers]
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for run in self.runs:
            run.result(PATIENCE_SECONDS)
        self.pool.shutdown()

    def run(self, swiper: Person) -> None:
        with self.front.visit(swiper) as visitor:
            while not self.stopping.is_set():
                for sid in self.targets:
                    if self.stopping.is_set():
                        return
                    self.note(visitor, "POST", "/api/social/like", {"sid": str(sid)})
                    self.note(visitor, "GET", "/api/user/profile", None)

    def note(self, visitor: Visitor, method: str, path: str, body: dict[str, str] | None) -> None:
        try:
            answer = visitor.request(method, path, json=body)
            if answer.status_code != 200:
                self.failures.append(f"{method} {path}: {answer.status_code} {answer.text}")
        except requests.RequestException as error:
            self.failures.append(f"{method} {path}: {error!r}")
        self.served += 1

    def serve_more(self, count: int) -> None:
        """Wait until `count` further requests are done."""
        goal, deadline = self.served + count, time.monotonic() + PATIENCE_SECONDS
        while self.served < goal:
            assert time.monotonic() < deadline, f"only {self.served} requests"
            time.sleep(0.02)


def test_killed_instance_is_not_seen_by_clients(front: Front, people: People) -> None:
    with Crowd(front, people) as crowd:
        crowd.serve_more(40)
        for port in list(front.instances):
            front.instances[port].kill()
            crowd.serve_more(80)
            front.start_instance(port)
            front.wait_for_instance(port)
            crowd.serve_more(40)
    print(f"kill -9: {crowd.served} requests, {len(crowd.failures)} failed")
    assert crowd.failures == []


def test_killed_worker_is_not_seen_by_clients(front: Front, people: People) -> None:
    with Crowd(front, people) as crowd:
        for program in front.instances.values():
            crowd.serve_more(20)
            for worker in program.children():
                worker.kill()
        crowd.serve_more(80)
    assert crowd.failures == []


def test_reload_is_not_seen_by_clients(front: Front, people: People) -> None:
    with Crowd(front, people) as crowd:
        for program in front.instances.values():
            crowd.serve_more(20)
            before = {worker.pid for worker in program.children()}
            program.send(signal.SIGHUP)
            program.wait_for(lambda: not before & {worker.pid for worker in program.children()}, "no new workers")  # noqa: B023
        crowd.serve_more(80)
    print(f"HUP: {crowd.served} requests, {len(crowd.failures)} failed")
    assert crowd.failures == []


def test_login_survives_a_killed_instance_and_is_sent_once(front: Front, people: People) -> None:
    """Nothing listens at one address, so every second request meets it first, before anything was sent."""
    port = next(iter(front.instances))
    front.instances[port].kill()
    try:
        with front.visit() as visitor:
            codes = [
                visitor.post("/api/user/login", json={"phonenum": "13912345678", "vcode": "000000"}) for _ in "1234"
            ]
        assert [answer.json()["code"] for answer in codes] == [1000] * 4
    finally:
        front.start_instance(port)
        front.wait_for_instance(port)


def test_without_any_instance_the_answer_is_an_envelope(front: Front, people: People) -> None:
    for program in front.instances.values():
        program.kill()
    try:
        with front.visit() as visitor:
            for method, path in (
                ("GET", "/api/user/profile"),
                ("POST", "/api/social/like"),
                ("POST", "/api/user/login"),
            ):
                answer = visitor.request(method, path)
                assert (answer.status_code, answer.json()["code"]) == (503, 1011)
                assert answer.headers["Retry-After"] == "2"
    finally:
        for port in front.instances:
            front.start_instance(port)
        for port in front.instances:
            front.wait_for_instance(port)


def certificate(folder: Path) -> None:
    """A certificate for 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    begin = datetime.now(UTC) - timedelta(minutes=5)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(begin).not_valid_after(begin + timedelta(days=1))
    signed = made.sign(key, hashes.SHA256())
    (folder / "fullchain.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    plain = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / "privkey.pem").write_bytes(plain)


def test_tls_is_ready_to_be_switched_on(front: Front, settings: Settings, tmp_path: Path) -> None:
    certificate(tmp_path)
    plain, secure = free_port(), free_port()
    text = render(tmp_path, settings.media_dir, plain, list(front.instances))
    text = text.replace(f"        listen 127.0.0.1:{plain};\n        # To switch", "        # To switch")
    text = text.replace("#tls ", "").replace("listen 443", f"listen 127.0.0.1:{secure}")
    text = text.replace("/etc/ssl/swiper", str(tmp_path))
    with start_nginx(tmp_path, text) as nginx, Visitor(f"https://127.0.0.1:{secure}") as visitor:
        visitor.verify = False
        nginx.wait_for(lambda: is_up(plain), "nginx does not serve")
        with pytest.warns(Warning, match="certificate"):
            page, asset = visitor.get("/healthz"), visitor.get("/assets/tokens.css")
        assert page.status_code == asset.status_code == 200
        for answer in (page, asset):
            assert header_lines(answer, "Strict-Transport-Security") == ["max-age=31536000"]
        with Visitor(f"http://127.0.0.1:{plain}") as plainly:
            moved = plainly.get("/healthz", allow_redirects=False)
        assert (moved.status_code, moved.headers["Location"]) == (301, "https://127.0.0.1/healthz")


def is_up(port: int) -> bool:
    """True when anything answers at all."""
    try:
        with Visitor(f"http://127.0.0.1:{port}") as visitor:
            return visitor.get("/", allow_redirects=False).status_code == 301
    except requests.RequestException:
        return False


# --- answers that nginx makes itself ---


def raw_answer(port: int, request: bytes) -> http.client.HTTPResponse:
    """The answer to bytes as they are, its body read."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        answer.body = answer.read()  # type: ignore[attr-defined]
        return answer


HEAD = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
UNPARSABLE = {
    "a zero byte in the address": (b"GET /media/%00" + HEAD + b"\r\n", 400),
    "a zero byte elsewhere": (b"GET /%00" + HEAD + b"\r\n", 400),
    "an escape that is none": (b"GET /media/%zz" + HEAD + b"\r\n", 400),
    "a bare percent": (b"GET /%" + HEAD + b"\r\n", 400),
    "above the root": (b"GET /../../etc/passwd" + HEAD + b"\r\n", 400),
    "no address": (b"GET" + HEAD + b"\r\n", 400),
    "a control character": (b"GET /\x01" + HEAD + b"\r\n", 400),
    "a method that is none": (b"get /" + HEAD + b"\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "a host that is none": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "a length that is none": (b"POST /api/user/login" + HEAD + b"Content-Length: x\r\n\r\n", 400),
    "two lengths": (b"POST /api/user/login" + HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "an unknown coding": (b"POST /api/user/login" + HEAD + b"Transfer-Encoding: foo\r\n\r\n", 400),
    "a bad chunk": (b"POST /api/user/login" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "another version": (b"GET / HTTP/4.0\r\nHost: x\r\n\r\n", 400),
    "a long address": (b"GET /" + b"a" * 9000 + HEAD + b"\r\n", 414),
    "a long header": (b"GET /" + HEAD + b"X: " + b"a" * 9000 + b"\r\n\r\n", 431),
    "many headers": (b"GET /" + HEAD + b"X: a\r\n" * 9000 + b"\r\n", 431),
    "a long body": (b"POST /api/user/login" + HEAD + b"Content-Length: 999999\r\n\r\n", 413),
    "a change of a file": (b"POST /assets/tokens.css" + HEAD + b"Content-Length: 0\r\n\r\n", 405),
    "a folder": (b"GET /assets/" + HEAD + b"\r\n", 404),
    "our own address": (b"GET /_nginx/away" + HEAD + b"\r\n", 404),
}


@pytest.mark.parametrize(("request_bytes", "status"), UNPARSABLE.values(), ids=list(UNPARSABLE))
def test_whatever_nginx_refuses_is_an_envelope(front: Front, request_bytes: bytes, status: int) -> None:
    answer = raw_answer(front.port, request_bytes)
    body = json.loads(answer.body)  # type: ignore[attr-defined]
    assert (answer.status, body["data"]) == (status, None), body
    assert body["code"] == (1009 if status in (404, 405) else 1005)
    assert answer.headers["Content-Type"].startswith("application/json")
    for name in ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Permissions-Policy"):
        assert answer.headers.get_all(name) == [SECURITY_HEADERS[name]], name
    for name in ("X-Request-Id", "Content-Security-Policy", "Cross-Origin-Resource-Policy"):
        assert len(answer.headers.get_all(name) or []) == 1, name


@pytest.mark.parametrize(
    ("header", "is_chinese"),
    [("zh-CN,en;q=0.9", True), ("zh", True), ("de, zh", True), ("en-US,zh-CN;q=0.9", False), ("", False)],
)
def test_nginx_speaks_the_client_s_language(visitor: Visitor, header: str, is_chinese: bool) -> None:
    answer = visitor.get("/media/none", headers={"Accept-Language": header})
    assert answer.status_code == 404
    assert (not answer.json()["message"].isascii()) is is_chinese


# --- how much one address may do ---


@pytest.fixture
def limited(front: Front, settings: Settings, tmp_path: Path) -> Iterator[str]:
    """nginx with the shipped limits; the header X-Test-Address says from where a request comes."""
    port = free_port()
    text = render(tmp_path, settings.media_dir, port, list(front.instances), has_limits=True)
    believed = "    set_real_ip_from 127.0.0.1;\n    real_ip_header X-Test-Address;\n    upstream swiper {"
    with start_nginx(tmp_path, text.replace("    upstream swiper {", believed, 1)) as nginx:
        base = f"http://127.0.0.1:{port}"
        nginx.wait_for(lambda: answers_at(base), "nginx does not serve")
        yield base


def refusals(base: str, path: str, addresses: list[str]) -> list[bool]:
    """For requests in a row, each from the next of `addresses`: whether nginx has refused it."""
    found = []
    with Visitor(base) as visitor:
        for address in addresses:
            answer = visitor.post(path, json={}, headers={"X-Test-Address": address})
            found.append(answer.status_code == 429)
            if answer.status_code == 429:
                assert answer.json() == {"code": 1006, "data": None, "message": "Too many requests; try again later."}
                assert answer.headers["Retry-After"] == "1"
                assert answer.headers["Content-Type"].startswith("application/json")
    return found


@pytest.mark.parametrize("path", ["/api/user/login", "/api/user/verify"])
def test_one_address_cannot_try_logins_without_end(limited: str, path: str) -> None:
    crowd = ThreadPoolExecutor(8)
    runs = [crowd.submit(refusals, limited, path, ["203.0.113.5"] * 60) for _ in range(8)]
    refused = [was for run in runs for was in run.result(PATIENCE_SECONDS)]
    assert any(refused)
    assert refused.count(False) >= 100
    # Somebody else is served meanwhile.
    assert refusals(limited, path, ["203.0.113.6"]) == [False]


def test_an_ipv6_client_counts_by_its_network(limited: str) -> None:
    networks = {
        "2001:db8:1:2::5": "2001:db8:1:2:a:b:c:d",
        "2001:db8::1": "2001:db8::ffff:1:1:1",
        "2001:db8:0:1::1": "2001:db8:0:1:8:8:8:8",
    }
    crowd = ThreadPoolExecutor(8)
    for first, second in networks.items():
        runs = [crowd.submit(refusals, limited, "/api/user/login", [first, second] * 30) for _ in range(8)]
        assert any(was for run in runs for was in run.result(PATIENCE_SECONDS))
    assert refusals(limited, "/api/user/login", ["2001:db8:9:9::1", "203.0.113.7"]) == [False, False]


def test_half_sent_heads_of_one_address_leave_room_for_others(front: Front, settings: Settings, tmp_path: Path) -> None:
    """As many as would have filled the places of the first configuration, in the measure of this machine."""
    port = free_port()
    text = render(tmp_path, settings.media_dir, port, list(front.instances), connections=2048, has_limits=True)
    with start_nginx(tmp_path, text) as nginx, ExitStack() as stack:
        nginx.wait_for(lambda: answers_at(f"http://127.0.0.1:{port}"), "nginx does not serve")
        with Visitor(f"http://127.0.0.1:{port}") as kept:
            assert kept.get("/healthz").status_code == 200
            for _ in range(600):
                half = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
                half.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            assert kept.get("/healthz").status_code == 200
            assert answers_at(f"http://127.0.0.1:{port}")
            # Each of them is given up by itself.
            half.settimeout(PATIENCE_SECONDS)
            with suppress(ConnectionResetError):
                assert half.recv(1) == b""
            assert kept.get("/healthz").status_code == 200


def test_the_shipped_places_outnumber_what_one_address_was_seen_to_open() -> None:
    text = CONFIG.read_text()
    assert int(re.findall(r"worker_connections (\d+);", text)[0]) > 4 * 8_400
    assert int(re.findall(r"worker_rlimit_nofile (\d+);", text)[0]) > 2 * 40_960
    assert int(re.findall(r"client_header_timeout (\d+)s;", text)[0]) <= 5
