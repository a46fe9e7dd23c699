"""How much one address may ask of nginx."""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from config.settings import Settings
from tests.front import CONFIG, render, start_nginx
from tests.nginx.fronts import Front
from tests.processes import PATIENCE_SECONDS, Visitor, answers_at, free_port

pytestmark = pytest.mark.services


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
