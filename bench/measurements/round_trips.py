"""How often a request waits for its servers, counted on the wire."""

import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from itertools import islice

from bench.callers import Caller
from bench.lab import Lab
from bench.measurements.reads import PROFILE
from bench.report import Row
from bench.servers import Statement
from bench.site import DATABASE, Counted, Site
from chaos.burst import RequestSpec

REQUESTS = 15
# What is put off to a batch is written within this time.
BACKGROUND_SECONDS = 2.0
WARM_UP, TRIES = 10, 2
LIKE_DATABASE, LIKE_REDIS, HOOKS_DATABASE, HOOKS_REDIS = 2, 1, 0, 1


def _like(pair: tuple[Caller, int]) -> RequestSpec:
    caller, target_id = pair
    return RequestSpec("POST", "/api/social/like", {"sid": str(target_id)}, caller.session_id)


class KeptConnection:
    """A connection to an instance that serves several requests."""

    def __init__(self, base: str) -> None:
        self.connection = HTTPConnection(base.removeprefix("http://"), timeout=10)

    def send(self, spec: RequestSpec) -> None:
        """One request; raises AssertionError where it is not answered 200."""
        head, _, body = spec.raw("bench").partition(b"\r\n\r\n")
        headers = dict(each.split(": ", 1) for each in head.decode().split("\r\n")[1:])
        headers["Connection"] = "keep-alive"
        self.connection.request(spec.method, spec.path, body or None, headers)
        response = self.connection.getresponse()
        answer = response.read()
        assert response.status == 200, f"{response.status} {answer[:200]!r}"

    def close(self) -> None:
        """Close the connection. An instance that is asked to end waits for open connections."""
        self.connection.close()


def count(counted: Counted, specs: Iterable[RequestSpec]) -> tuple[float, float, int, int]:
    """Round trips to database and Redis: the median of those during one request, and all that were made after them."""
    during: tuple[list[int], list[int]] = ([], [])
    relays = (counted.database, counted.redis)
    begun = time.monotonic()
    with closing(KeptConnection(counted.base)) as client:
        for spec in specs:
            started = time.monotonic()
            client.send(spec)
            ended = time.monotonic()
            for kept, relay in zip(during, relays, strict=True):
                kept.append(relay.count(started, ended))
    time.sleep(BACKGROUND_SECONDS)
    database, redis = (
        relay.count(begun, time.monotonic()) - sum(kept) for kept, relay in zip(during, relays, strict=True)
    )
    return statistics.median(during[0]), statistics.median(during[1]), database, redis


def count_round_trips(lab: Lab) -> Iterator[Row]:
    """Round trips of a like, and of a profile that everything is known of: there the hooks are all that asks."""
    first, second = likes_in_turn(lab)
    caller = lab.callers()[0]
    profiles = [RequestSpec("GET", PROFILE, session_id=caller.session_id)] * (REQUESTS + 5)
    with lab.counted() as counted:
        count(counted, [*profiles[:5], *first])
        profile = count(counted, profiles[5:])
        swiped = count(counted, second)
    yield row("the hooks and GET profile, warm", profile, HOOKS_DATABASE, HOOKS_REDIS)
    yield row("POST like", swiped, LIKE_DATABASE, LIKE_REDIS)


def likes_in_turn(site: Site) -> tuple[list[RequestSpec], list[RequestSpec]]:
    """Two fresh likes each of some callers: the first ones, and the second ones.

    A caller's first like has a row more to make, so what is counted or captured are the second ones.
    """
    callers = len(site.callers())
    pairs = list(islice(site.fresh_pairs, callers + REQUESTS))
    return [_like(pair) for pair in pairs[:REQUESTS]], [_like(pair) for pair in pairs[callers:]]


def row(what: str, counts: tuple[float, float, int, int], database: int, redis: int | None) -> Row:
    """Judge the result of `count` by the most round trips to each server; None where there is no target for Redis."""
    words = f"{counts[0]:.0f} to the database, {counts[1]:.0f} to Redis"
    after = f"; in the background of {REQUESTS}: {counts[2]} and {counts[3]}"
    target = f"<= {database}" if redis is None else f"<= {database} and {redis}"
    is_reached = counts[0] <= database and (redis is None or counts[1] <= redis)
    return Row(f"round trips: {what}", "", words + after, None, target, is_reached)


def capture_like(lab: Lab) -> tuple[list[Statement], tuple[int, int]]:
    """The statements of one like, with what is written for it in the background, and whose like it was.

    It is not the caller's first one, which has a row more to make.
    """
    callers = len(lab.callers())
    pairs = list(islice(lab.fresh_pairs, callers + TRIES))
    with lab.counted() as counted, closing(KeptConnection(counted.base)) as client:
        # Prepared and cached is what can be.
        for pair in pairs[:WARM_UP]:
            client.send(_like(pair))
        time.sleep(BACKGROUND_SECONDS)
        tries = [_capture(lab, client, pair) for pair in pairs[callers:]]
    # Once a minute or so a request also refreshes what all of them share.
    return min(tries, key=lambda found: len(found[0]))


def _capture(lab: Lab, client: KeptConnection, pair: tuple[Caller, int]) -> tuple[list[Statement], tuple[int, int]]:
    def act() -> None:
        client.send(_like(pair))
        time.sleep(BACKGROUND_SECONDS)

    caller, target_id = pair
    return lab.postgres.statements_of(DATABASE, act), (caller.id, target_id)
