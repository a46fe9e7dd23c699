"""Clients of nginx do not see that an instance behind it ends or is reloaded."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.factories import People, Person
from tests.nginx.fronts import Front
from tests.processes import PATIENCE_SECONDS, Visitor

pytestmark = pytest.mark.services


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
