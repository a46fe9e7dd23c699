"""Each of several machines may run a beat: what both start at the same moment is done once, and fails nowhere."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config.schedule import BEAT_SCHEDULE
from swiper.tasks.celery import HEARTBEAT

TASKS = sorted({entry["task"] for entry in BEAT_SCHEDULE.values()} - {HEARTBEAT})
BEATS = 3


def run_at_once(app: Flask, name: str) -> None:
    """Run a task in several threads of a worker. Raises what one of them raises."""
    task, barrier = app.extensions["celery"].tasks[name], Barrier(BEATS)

    def run() -> Any:
        barrier.wait(30)
        return task.apply(throw=True)

    with ThreadPoolExecutor(BEATS) as pool:
        for started in [pool.submit(run) for _ in range(BEATS)]:
            started.result(60)


@pytest.mark.parametrize("name", TASKS)
def test_periodic_work_that_is_started_twice_at_once_fails_nowhere(app: Flask, name: str) -> None:
    run_at_once(app, name)


def test_a_lost_code_that_several_sweeps_look_for_is_sent_once(app: Flask, client: FlaskClient) -> None:
    outbox = app.config["INSTANCE"] / "sms-outbox.jsonl"
    outbox.unlink(missing_ok=True)
    numbers = [f"+86139{number:08}" for number in range(4)]
    for number in numbers:
        assert client.post("/api/user/verify", json={"phonenum": number}).status_code == 200
    run_at_once(app, "auth.sweep_codes")
    run_at_once(app, "auth.sweep_codes")
    sent = [json.loads(line)["phone"] for line in outbox.read_text().splitlines()]
    assert sorted(sent) == numbers
