"""Background load: members who read and swipe through nginx without pause, and note what they were told."""

import http.client
import itertools
import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from chaos.burst import PATIENCE_SECONDS, RequestSpec
from chaos.site import Site

READS = ("/api/user/profile", "/api/social/users", "/api/vip/levels", "/api/social/friends", "/api/social/hot")
CHANGE = "/api/user/profile/modify"
LIKES = 0.8


@dataclass(frozen=True)
class Swiped:
    """A swipe that the service has acknowledged."""

    uid: int
    target_id: int
    kind: str
    is_matched: bool


class Crowd:
    """A context manager; inside it `clients` threads swipe every pair of `members` in both directions, and read.

    Each client keeps one connection open as a browser does, and has no second try: whatever is not a 200 with code 0
    is a failure. With `has_changes` they also change their preferences, which nginx never sends twice.
    """

    def __init__(self, site: Site, members: int = 80, clients: int = 6, *, has_changes: bool = False) -> None:
        self.site = site
        self._has_changes = has_changes
        # Level 2 likes without a limit.
        self.members = site.add_members(members, vip=2)
        self.failures: list[str] = []
        self.swipes: list[Swiped] = []
        self.requests = 0
        self.changes = 0
        self.slowest = 0.0
        # By time.monotonic(), when the last failure was answered.
        self.failed_at = 0.0
        self._specs = self._plan()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._clients = clients
        self._runs: list[Future[None]] = []

    def _plan(self) -> Iterator[tuple[RequestSpec, tuple[int, int, str] | None]]:
        """Swipes and reads in turn; what was swiped once is swiped again the same way when all pairs are done."""
        couples = list(itertools.combinations(self.members, 2))
        random.shuffle(couples)
        # One right after the other, so that many matches are made at the moment of a blow.
        pairs = [pair for one, other in couples for pair in ((one, other), (other, one))]
        kinds = ["like" if random.random() < LIKES else "dislike" for _ in pairs]
        for (one, other), kind, path in zip(
            itertools.cycle(pairs), itertools.cycle(kinds), itertools.cycle(READS), strict=False
        ):
            yield one.swipe(kind, other), (one.id, other.id, kind)
            yield one.get(path), None
            if self._has_changes:
                # nginx sends it once, whatever happens.
                yield one.post(CHANGE, max_distance=random.randint(1, 20_000)), None

    def __enter__(self) -> Self:
        self._runs = [self._pool.submit(self._run) for _ in range(self._clients)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._pool.shutdown()
        for run in self._runs:
            run.result()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=PATIENCE_SECONDS)
        try:
            while not self._stopping.is_set():
                with self._lock:
                    spec, meant = next(self._specs)
                self._note(spec, meant, *_send(connection, spec))
        finally:
            connection.close()

    def _note(
        self, spec: RequestSpec, meant: tuple[int, int, str] | None, seconds: float, answer: Any, fault: str
    ) -> None:
        with self._lock:
            self.requests += 1
            self.slowest = max(self.slowest, seconds)
            if fault:
                self.failures.append(f"{spec.method} {spec.path}: {fault}")
                self.failed_at = time.monotonic()
            elif meant:
                self.swipes.append(Swiped(*meant, answer["data"]["is_matched"]))
            if not fault and spec.path == CHANGE:
                self.changes += 1

    def serve_more(self, count: int) -> None:
        """Return when `count` further requests are done. Raises AssertionError when they take too long."""
        goal, deadline = self.requests + count, time.monotonic() + PATIENCE_SECONDS
        while self.requests < goal:
            assert time.monotonic() < deadline, f"only {self.requests} of {goal} requests"
            time.sleep(0.01)


def _send(connection: http.client.HTTPConnection, spec: RequestSpec) -> tuple[float, Any, str]:
    """Seconds, the envelope, and what was wrong."""
    started = time.monotonic()
    body = json.dumps(spec.body) if spec.body else None
    headers = {"Cookie": f"swiper_session={spec.session_id}"} | ({"Content-Type": "application/json"} if body else {})
    try:
        connection.request(spec.method, spec.path, body, headers)
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return time.monotonic() - started, None, repr(error)
    seconds = time.monotonic() - started
    answer = json.loads(content) if content[:1] == b"{" else None
    if response.status != 200 or answer is None or answer["code"] != 0:
        return seconds, answer, f"{response.status} {content[:200]!r}"
    return seconds, answer, ""
