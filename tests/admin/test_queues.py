"""The length of the queues as the broker tells it."""

from collections.abc import Callable

import pytest
from celery import Celery
from flask import Flask

from swiper.admin import queues
from swiper.admin.metrics import metrics_of
from swiper.admin.metrics_buffer import Metric
from swiper.admin.queues import DAY_SECONDS, SAMPLES_KEY, queue_lengths, queue_samples, sample_queue
from swiper.clock import today
from swiper.extensions import redis
from swiper.tasks.celery import CODES_QUEUE, QUEUE
from tests.admin.conftest import AdminClient
from tests.factories import client_holding, session_id_of


@pytest.fixture
def celery(app: Flask) -> Celery:
    made: Celery = app.extensions["celery"]
    made.set_default()
    return made


def test_each_queue_is_as_long_as_what_waits_in_it(app: Flask, celery: Celery) -> None:
    with app.app_context():
        assert queue_lengths() == {QUEUE: 0, CODES_QUEUE: 0}
        for _ in range(3):
            celery.tasks["vip.serve_ticket"].apply_async(args=(1, 1))
        celery.tasks["auth.sweep_codes"].apply_async()
        assert queue_lengths() == {QUEUE: 3, CODES_QUEUE: 1}


def test_a_broker_that_is_no_redis_is_asked_in_the_same_way(make_app: Callable[..., Flask]) -> None:
    """In kombu's words, which RabbitMQ understands: here its broker in memory."""
    other = make_app(celery_broker_url="memory://")
    celery = other.extensions["celery"]
    with other.app_context():
        assert queue_lengths() == {QUEUE: 0, CODES_QUEUE: 0}
        celery.tasks["vip.serve_ticket"].apply_async(args=(1, 1))
        assert queue_lengths() == {QUEUE: 1, CODES_QUEUE: 0}


def test_samples_of_a_day_are_kept_with_its_peak(app: Flask, celery: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1_800_000_000
    with app.app_context():
        for after, length in ((0, 5), (60, 9), (120, 2)):
            monkeypatch.setattr(queues, "queue_lengths", lambda length=length: {QUEUE: length})
            monkeypatch.setattr(queues.time, "time", lambda after=after: float(moment + after))
            sample_queue()
        assert queue_samples() == {"times": [moment, moment + 60, moment + 120], "lengths": [5, 9, 2]}
        assert metrics_of(today())[Metric.QUEUE_PEAK] == 9
        monkeypatch.setattr(queues.time, "time", lambda: float(moment + DAY_SECONDS + 90))
        sample_queue()
        assert redis.client.zcard(SAMPLES_KEY) == 2


def test_a_broker_that_is_away_hides_nothing_else(make_app: Callable[..., Flask], admin: AdminClient) -> None:
    away = make_app(celery_broker_url="redis+socket:///nowhere/redis.sock?virtual_host=0")
    client = client_holding(away, session_id_of(admin.client))
    answer = client.get("/admin")
    assert answer.status_code == 200
    assert "The broker does not answer." in answer.text
    assert client.get("/admin/figures.json").json["data"]["waiting"] is None
