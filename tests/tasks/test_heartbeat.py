"""Heartbeats of beat and the workers, and the age of queues that follows from them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from flask import Flask

from config.schedule import BEAT_SCHEDULE, HEARTBEAT_SECONDS
from config.settings import Settings
from swiper.extensions import redis
from swiper.tasks import heartbeat
from swiper.tasks.celery import CODES_QUEUE, HEARTBEAT, QUEUE, SENT_AT, write_heartbeat_of_beat
from swiper.tasks.heartbeat import (
    FRESH_SECONDS,
    QUEUES_KEY,
    Part,
    heartbeat_name,
    queue_ages,
    write_heartbeat,
    write_queue_heartbeat,
)
from tests.processes import celery_worker, environment_of


def test_beat_sends_a_heartbeat_into_each_queue(app: Flask) -> None:
    beats = [entry for entry in BEAT_SCHEDULE.values() if entry["task"] == HEARTBEAT]
    queues = {queue.name for queue in app.extensions["celery"].conf.task_queues}
    assert {entry["options"].get("queue", QUEUE) for entry in beats} == queues
    assert {entry["schedule"] for entry in beats} == {HEARTBEAT_SECONDS}
    # One that is lost or late is not taken for the end of beat or of the worker.
    assert 3 * HEARTBEAT_SECONDS <= FRESH_SECONDS


def test_a_worker_with_beat_gives_all_heartbeats(app: Flask, settings: Settings, tmp_path: Path) -> None:
    client = app.extensions["redis"]

    def is_complete() -> bool:
        return client.exists(*map(heartbeat_name, Part)) == 2 and client.hlen(QUEUES_KEY) == 2

    options = ("--beat", "--schedule", str(tmp_path / "beat"))
    with celery_worker(environment_of(settings), tmp_path / "worker.log", *options) as worker:
        worker.wait_for(is_complete, "a heartbeat is missing")
        with app.app_context():
            ages = queue_ages()
        parts = app.test_client().get("/readyz").json["data"]
    assert set(ages) == {QUEUE, CODES_QUEUE}
    assert all(0 <= age < 10 for age in ages.values())
    assert (parts["worker"], parts["beat"]) == (True, True)
    assert 0 < client.ttl(heartbeat_name(Part.WORKER)) <= FRESH_SECONDS
    assert 0 < client.ttl(heartbeat_name(Part.BEAT)) <= FRESH_SECONDS


def test_beat_notes_itself_and_the_time_when_it_sends(app: Flask) -> None:
    celery: Celery = app.extensions["celery"]
    celery.set_default()
    headers: dict[str, Any] = {}
    before = time.time()
    write_heartbeat_of_beat(headers)
    assert before <= headers[SENT_AT] <= time.time()
    assert app.extensions["redis"].exists(heartbeat_name(Part.BEAT))
    assert not app.extensions["redis"].exists(heartbeat_name(Part.WORKER))


def test_no_other_task_gives_a_heartbeat(app: Flask) -> None:
    celery: Celery = app.extensions["celery"]
    celery.set_default()
    celery.tasks["bans.purge"].apply_async()
    assert not app.extensions["redis"].exists(heartbeat_name(Part.BEAT))
    celery.tasks[HEARTBEAT].apply_async()
    assert app.extensions["redis"].exists(heartbeat_name(Part.BEAT))


def test_beat_goes_on_without_redis(make_app: Callable[..., Flask], capsys: pytest.CaptureFixture[str]) -> None:
    make_app(redis_url="unix:///nonexistent.sock")
    write_heartbeat_of_beat({})
    log = capsys.readouterr().err
    assert "beat cannot write its heartbeat: ConnectionError" in log
    assert "nonexistent" not in log


@pytest.mark.parametrize(
    ("waited", "later", "age"),
    [
        (0.0, 5.0, 0.0),
        (0.0, HEARTBEAT_SECONDS, 0.0),
        # The next one was sent after 15 s and waits since then.
        (0.0, HEARTBEAT_SECONDS + 40, 40.0),
        (30.0, 31.0, 30.0),
        (30.0, 100.0, 85.0),
    ],
)
def test_a_queue_is_as_old_as_the_heartbeat_that_waits_in_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch, waited: float, later: float, age: float
) -> None:
    sent = 1_800_000_000.0
    with app.app_context():
        monkeypatch.setattr(heartbeat.time, "time", lambda: sent + waited)
        write_queue_heartbeat(QUEUE, sent)
        monkeypatch.setattr(heartbeat.time, "time", lambda: sent + later)
        assert queue_ages() == {QUEUE: pytest.approx(age, abs=0.01)}
        assert int(redis.client.ttl(QUEUES_KEY)) > 0


def test_a_heartbeat_of_one_part_is_none_of_the_other(app: Flask) -> None:
    with app.app_context():
        write_heartbeat(Part.WORKER)
        assert redis.client.exists(heartbeat_name(Part.WORKER))
        assert not redis.client.exists(heartbeat_name(Part.BEAT))
