"""Sweeps: one at a time, and none for ever."""

import pytest
from flask import Flask

from swiper import tasking
from swiper.auth import codes, tasks
from swiper.tasking import only_one, while_time_lasts


def test_only_one_process_takes_a_turn(app: Flask) -> None:
    with app.app_context():
        with only_one("sweep") as first, only_one("sweep") as second, only_one("another") as other:
            assert (first, second, other) == (True, False, True)
        with only_one("sweep") as later:
            assert later


def test_a_turn_that_came_too_late_does_not_end_the_next_ones(app: Flask) -> None:
    with app.app_context(), only_one("sweep") as first:
        assert first
        # As when the first one took longer than its lock.
        app.extensions["redis"].set("alone:sweep", "another")
    assert app.extensions["redis"].get("alone:sweep") == b"another"


def test_a_sweep_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasking, "SWEEP_SECONDS", -1)
    assert list(while_time_lasts([1, 2, 3])) == []
    monkeypatch.setattr(tasking, "SWEEP_SECONDS", 60)
    assert list(while_time_lasts([1, 2, 3])) == [1, 2, 3]


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
