"""Sweeps: one at a time, none for ever, and none that goes on beside the next."""

import time
from typing import Any

import pytest
from flask import Flask
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import ReadOnlyError

from swiper.auth import codes, tasks
from swiper.tasks import queue
from swiper.tasks.queue import LEASE_SECONDS, Turn, only_one, sweep


def test_only_one_process_takes_a_turn(app: Flask) -> None:
    with app.app_context():
        with only_one("sweep") as first, only_one("sweep") as second, only_one("another") as other:
            assert (bool(first), bool(second), bool(other)) == (True, False, True)
        with only_one("sweep") as later:
            assert later


def test_a_turn_that_came_too_late_does_not_end_the_next_ones(app: Flask) -> None:
    with app.app_context(), only_one("sweep") as first:
        assert first
        # As when the first one took longer than its lease.
        app.extensions["redis"].set("alone:sweep", "another")
    assert app.extensions["redis"].get("alone:sweep") == b"another"


def test_a_worker_that_died_in_a_sweep_holds_the_next_up_for_its_lease_alone(app: Flask) -> None:
    with app.app_context():
        assert Turn("sweep", 0.2)
        assert not Turn("sweep", 0.2)
        time.sleep(0.25)
        assert Turn("sweep", LEASE_SECONDS)
    # A code must be sent within 60 s, whatever dies meanwhile.
    assert 0 < app.extensions["redis"].pttl("alone:sweep") <= 20_000


def test_a_sweep_that_goes_on_keeps_its_turn(app: Flask) -> None:
    done, others = [], []

    def work(number: int) -> None:
        time.sleep(0.15)
        others.append(bool(Turn("sweep", 0.25)))
        done.append(number)

    with app.app_context():
        sweep("sweep", lambda: [(1,), (2,), (3,), (4,)], work, lease_seconds=0.25)
        assert (done, others) == ([1, 2, 3, 4], [False] * 4)
        assert Turn("sweep", 1)


def test_a_sweep_that_lost_its_turn_stops(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    done = []

    def work(number: int) -> None:
        done.append(number)
        if number == 2:
            app.extensions["redis"].set("alone:sweep", "another")

    with app.app_context():
        sweep("sweep", lambda: [(1,), (2,), (3,)], work)
    assert done == [1, 2]
    assert app.extensions["redis"].get("alone:sweep") == b"another"
    assert "sweep has lost its turn and stops" in caplog.messages


def test_a_sweep_ends_when_its_time_is_over(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    with app.app_context():
        monkeypatch.setattr(queue, "SWEEP_SECONDS", -1)
        sweep("sweep", lambda: [(1,), (2,)], done.append)
        assert done == []
        monkeypatch.setattr(queue, "SWEEP_SECONDS", 60)
        sweep("sweep", lambda: [(1,), (2,)], done.append)
    assert done == [1, 2]


def test_what_fails_waits_while_the_others_are_done(app: Flask) -> None:
    done = []

    def work(number: int) -> None:
        if number == 1:
            raise KeyError("absent")
        done.append(number)

    with app.app_context():
        sweep("sweep", lambda: [(1,), (2,)], work, KeyError)
        assert done == [2]
        # Whatever it fails with.
        sweep("sweep", lambda: [(1,), (3,)], work)
        assert done == [2, 3]
        assert Turn("sweep", 1)


def test_what_has_failed_goes_behind_the_others_until_it_is_done(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    tried: list[int] = []
    broken = {1}

    def work(number: int) -> None:
        tried.append(number)
        if number in broken:
            raise ValueError("always")

    with app.app_context():
        for _ in range(3):
            sweep("sweep", lambda: [(1,), (2,), (3,)], work)
        assert tried == [1, 2, 3, 2, 3, 1, 2, 3, 1]
        assert 0 < app.extensions["redis"].ttl("failed:sweep") <= 3600
        broken.clear()
        sweep("sweep", lambda: [(1,), (2,)], work)
        tried.clear()
        sweep("sweep", lambda: [(1,), (2,)], work)
    assert tried == [1, 2]
    assert [bool(record.exc_info) for record in caplog.records if record.levelname == "ERROR"] == [True] * 3


def test_a_turn_in_which_everything_fails_ends_early(app: Flask) -> None:
    tried: list[int] = []

    def work(number: int) -> None:
        tried.append(number)
        raise ValueError("the database is away")

    with app.app_context():
        sweep("sweep", lambda: [(number,) for number in range(100)], work)
        assert len(tried) == queue.MOST_FAULTS
        tried.clear()
        sweep("sweep", lambda: [(number,) for number in range(100)], work)
    assert tried[0] == queue.MOST_FAULTS


def test_nobody_looks_for_work_out_of_turn(app: Flask) -> None:
    looked = []

    def find() -> list[tuple[int]]:
        looked.append(1)
        return [(1,)]

    with app.app_context(), only_one("sweep"):
        sweep("sweep", find, looked.append)
    assert looked == []


def test_codes_are_swept_by_one_worker_at_a_time(app: Flask) -> None:
    app.test_client().post("/api/user/verify", json={"phonenum": "13800138000"})
    with app.app_context(), only_one("sweep_codes"):
        tasks.sweep_codes()
    assert len(waiting(app)) == 1
    tasks.sweep_codes()
    assert waiting(app) == []


def waiting(app: Flask) -> list[int]:
    with app.app_context():
        return codes.unsent_codes()


class Unsendable:
    """A task that cannot be queued."""

    name = "auth.send_code"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def apply_async(self, **_: Any) -> None:
        raise self.error


@pytest.mark.parametrize("error", [BrokerError(), ConnectionRefusedError(), ReadOnlyError("a replica")])
def test_work_waits_for_the_sweep_while_the_broker_takes_none(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    queue.enqueue(Unsendable(error), 1)  # type: ignore[arg-type]
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("WARNING", None)]


def test_a_fault_in_queueing_is_logged_in_full_and_costs_the_caller_nothing(caplog: pytest.LogCaptureFixture) -> None:
    queue.enqueue(Unsendable(TypeError("not serializable")), 1)  # type: ignore[arg-type]
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.exc_info
