"""Ids: positive, rising, within 64 bits, and distinct under threads."""

import time
from datetime import UTC, datetime

from flask import Flask

from swiper import ids
from swiper.ids import EPOCH_MS, MAX_ID, RANDOM_BITS, new_id
from tests.factories import People, at_once


def test_ids_of_one_process_rise_and_never_repeat() -> None:
    made = [new_id() for _ in range(20_000)]
    assert made == sorted(set(made))
    assert all(0 < number <= MAX_ID for number in made)


def test_threads_share_no_id() -> None:
    parts = at_once([lambda: [new_id() for _ in range(2_000)]] * 8)
    assert len({number for part in parts for number in part}) == 16_000


def test_an_id_tells_its_time() -> None:
    before = time.time()
    made = ((new_id() >> RANDOM_BITS) + EPOCH_MS) / 1000
    assert before - 1 < made < time.time() + 1


def test_ids_fit_for_decades() -> None:
    in_2090 = int(datetime(2090, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert (in_2090 - EPOCH_MS) << RANDOM_BITS < MAX_ID


def test_ids_still_rise_when_the_clock_goes_back(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    first = new_id()
    past = time.time() - 3600
    monkeypatch.setattr(ids.time, "time", lambda: past)
    assert first < new_id() < first + 1000


def test_two_processes_seldom_draw_the_same() -> None:
    low = {new_id() & (2**RANDOM_BITS - 1) for _ in range(50) if time.sleep(0.0011) is None}
    assert len(low) > 45


def test_json_carries_ids_as_strings(app: Flask, people: People) -> None:
    person = people.add()
    assert person.get("/api/user/profile").json["data"]["id"] == str(person.id)
    assert person.id > 2**53
