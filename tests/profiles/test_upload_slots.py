"""One user's pictures take turns with each other before they take turns with everybody's."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier, Event
from typing import Any

import pytest
from flask import Flask

from swiper.errors import RateLimitedError
from swiper.extensions import redis
from swiper.profiles import uploads
from swiper.profiles.upload_slots import upload_slot
from tests.factories import People
from tests.storage.samples import encode, gradient

PICTURE = encode(gradient(), "JPEG")


def test_no_more_than_the_setting_are_on_their_way(context: None, app: Flask) -> None:
    limit = app.config["UPLOADS_AT_ONCE"]
    slots = [upload_slot(1) for _ in range(limit)]
    for slot in slots:
        slot.__enter__()
    with pytest.raises(RateLimitedError), upload_slot(1):
        pass
    with upload_slot(2):
        pass
    slots.pop().__exit__(None, None, None)
    with upload_slot(1):
        pass


def test_slot_is_free_after_a_failure(context: None) -> None:
    for _ in range(10):
        with pytest.raises(ZeroDivisionError), upload_slot(1):
            raise ZeroDivisionError
    assert redis.client.exists("{u:1}:uploading") == 0


def test_slot_of_a_killed_process_ends(context: None, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swiper.profiles.upload_slots.LEASE_MS", 1)
    lost = [upload_slot(1) for _ in range(app.config["UPLOADS_AT_ONCE"])]
    for slot in lost:
        slot.__enter__()
    while redis.client.exists("{u:1}:uploading"):
        pass
    with upload_slot(1):
        pass


def test_forty_uploads_of_one_account_keep_one_slot_for_nobody_else(
    app: Flask, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While decoding is held up, so many of the flood wait as the setting says; the others are refused at once."""
    person, limit = people.add(), app.config["UPLOADS_AT_ONCE"]
    together, go_on = Barrier(12), Event()
    decode = uploads._clean

    def wait_and_decode(data: bytes, **limits: Any) -> bytes:
        assert go_on.wait(60)
        return decode(data, **limits)

    monkeypatch.setattr(uploads, "_clean", wait_and_decode)
    cookie = person.client.get_cookie("swiper_session")
    assert cookie

    def send() -> int:
        client = app.test_client()
        client.set_cookie("swiper_session", cookie.value)
        together.wait(60)
        data = {"photo": (BytesIO(PICTURE), "a.jpg")}
        return client.post("/api/user/photos", data=data).status_code

    with ThreadPoolExecutor(12) as pool:
        sent = [pool.submit(send) for _ in range(12)]
        while sum(future.done() for future in sent) < 12 - limit:
            pass
        go_on.set()
        statuses = sorted(future.result() for future in sent)
    assert statuses == [201] * limit + [429] * (12 - limit)
