"""How long routes take to answer."""

from typing import Any

import pytest
from flask import Flask

from swiper.admin.metrics_buffer import BOUNDS_MS, NO_ROUTE, MetricsBuffer
from swiper.admin.route_latency import slowest_routes
from swiper.clock import today
from tests.admin.conftest import AdminClient
from tests.factories import People, Person


def test_answers_are_timed_by_the_rule_of_their_route(
    buffer: MetricsBuffer, people: People, admin: AdminClient
) -> None:
    person: Person = people.add()
    buffer.batcher.content.timings.clear()
    person.get(f"/api/user/{admin.id}")
    person.get(f"/api/user/{admin.id}")
    person.get("/api/user/999")
    person.client.head("/healthz")
    person.client.get(f"/nowhere/{person.id}")
    person.client.open("/api/user/profile", method="INVENTED")
    person.client.open("/api/user/profile", method=f"M{person.id}")
    assert {route: timing[0] for route, timing in buffer.batcher.content.timings.items()} == {
        ("GET", "/api/user/<id:user_id>"): 3,
        ("HEAD", "/healthz"): 1,
        ("-", NO_ROUTE): 3,
    }


def test_errors_are_timed_as_well(buffer: MetricsBuffer, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    person = people.add()

    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("swiper.profiles.profiles.own_view", broken)
    buffer.batcher.content.timings.clear()
    assert person.get("/api/user/profile").status_code == 500
    assert buffer.batcher.content.timings[("GET", "/api/user/profile")][0] == 1


def test_slow_routes_come_first_with_mean_p95_and_slowest(app: Flask, buffer: MetricsBuffer) -> None:
    for milliseconds in [3] * 96 + [30] * 3 + [300]:
        buffer.add_response(("GET", "/quick"), milliseconds / 1000)
    for milliseconds in (90, 110, 9_000):
        buffer.add_response(("POST", "/slow/<id:uid>"), milliseconds / 1000)
    buffer.flush()
    buffer.add_response(("GET", "/quick"), 0.5)
    buffer.flush()
    with app.app_context():
        slow, quick = slowest_routes(today())
    assert (slow.route, slow.count, slow.slowest, slow.p95) == ("POST /slow/<id:uid>", 3, 9000.0, 9000.0)
    assert slow.mean == pytest.approx(3066.7, abs=0.1)
    assert (quick.route, quick.count, quick.slowest, quick.p95) == ("GET /quick", 101, 500.0, 5.0)


def test_an_answer_lies_in_the_bucket_whose_bound_it_does_not_exceed(buffer: MetricsBuffer) -> None:
    for place, bound in enumerate(BOUNDS_MS):
        buffer.batcher.content.timings.clear()
        buffer.add_response(("GET", "/"), bound / 1000)
        assert buffer.batcher.content.timings[("GET", "/")][3 + place] == 1
    buffer.add_response(("GET", "/"), 60)
    assert buffer.batcher.content.timings[("GET", "/")][-1] == 1
