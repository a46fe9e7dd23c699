"""What is counted for `/metrics` beside the requests: codes, tasks, errors of the cache."""

from collections.abc import Callable

import pytest
from flask import Flask

from swiper.admin.metrics_buffer import MetricsBuffer
from swiper.cache.calls import safe_call
from swiper.extensions import cache


def test_a_code_is_counted_when_it_is_made_and_not_when_it_is_refused(app: Flask, buffer: MetricsBuffer) -> None:
    client = app.test_client()
    for phone in ("13800138000", "13800138000", "13800138001", "1"):
        client.post("/api/user/verify", json={"phonenum": phone})
    assert buffer.batcher.content.counts["codes_asked"] == 2


def test_a_task_is_counted_with_its_state_and_time(app: Flask, buffer: MetricsBuffer) -> None:
    celery = app.extensions["celery"]
    celery.set_default()
    celery.tasks["bans.purge"].apply()
    counts = buffer.batcher.content.counts
    assert counts["tasks:bans.purge:success"] == 1
    assert 0 < counts["task_micros:bans.purge"] < 10_000_000


def test_errors_of_the_cache_are_counted_by_their_reason(
    app: Flask, buffer: MetricsBuffer, make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_app(redis_url="unix:///nonexistent.sock")
    with other.app_context():
        for _ in range(3):
            # It is left alone after the first one.
            assert safe_call("get", "x") is None
    assert other.extensions["metrics_buffer"].batcher.content.counts == {"cache_errors:away": 1}
    with app.app_context():
        assert safe_call("get", "x") is None
        assert not buffer.batcher.content.counts
        monkeypatch.setattr(cache.cache, "get", lambda *_: 1 / 0)
        assert safe_call("get", "x") is None
    assert buffer.batcher.content.counts == {"cache_errors:fault": 1}


def test_most_responses_are_counted_by_their_times_alone(app: Flask, buffer: MetricsBuffer) -> None:
    client = app.test_client()
    client.get("/healthz")
    assert not buffer.batcher.content.statuses
    client.delete("/healthz")
    client.get("/api/user/profile")
    assert dict(buffer.batcher.content.statuses) == {
        ("-", "no such route", "405"): 1,
        ("GET", "/api/user/profile", "401"): 1,
    }
