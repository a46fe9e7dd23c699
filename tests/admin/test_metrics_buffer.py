"""What is counted in memory, and how it is sent to Redis."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from swiper import sms
from swiper.admin import metrics_buffer
from swiper.admin.metrics_buffer import Count, Metric, MetricsBuffer, counts_key, routes_key, slowest_key
from swiper.clock import today
from swiper.extensions import redis
from swiper.sms import SmsError
from swiper.tasks import batcher
from tests.factories import People, at_once

# --- what is counted ---


def test_swipes_likes_and_matches_are_counted_once_each(buffer: MetricsBuffer, people: People) -> None:
    man, woman, other = people.add(vip=3), people.woman(), people.woman()
    man.like(woman)
    man.like(woman)
    man.dislike(other)
    woman.like(man)
    man.superlike(people.woman())
    man.like(man)
    assert buffer.batcher.content.counts == {
        Metric.SWIPES: 4,
        Metric.LIKES: 3,
        Count.SUPERLIKES: 1,
        Metric.MATCHES: 1,
    }


class Provider(sms.SmsProvider):
    """Takes a message or refuses it."""

    def __init__(self, config: Any, name: str, refuses: bool) -> None:
        super().__init__(config)
        self.name, self.refuses = name, refuses

    def wire_number(self, phone: str) -> str | None:
        return phone

    def try_send(self, number: str, code: str) -> None:
        if self.refuses:
            raise SmsError("refused")


@pytest.mark.parametrize(
    ("providers", "expected"),
    [
        ([("aliyun", False)], {Metric.SMS_SENT: 1, Metric.SMS_COST: 45_000, "sms_sent:aliyun": 1}),
        (
            [("aliyun", True), ("ronglian", False)],
            {Metric.SMS_SENT: 1, Metric.SMS_COST: 45_000, "sms_refused:aliyun": 1, "sms_sent:ronglian": 1},
        ),
        (
            [("aliyun", True), ("ronglian", True)],
            {Metric.SMS_FAILED: 1, "sms_refused:aliyun": 1, "sms_refused:ronglian": 1},
        ),
        ([("console", False)], {Metric.SMS_SENT: 1, "sms_sent:console": 1}),
    ],
)
def test_messages_are_counted_by_what_became_of_them(
    app: Flask,
    buffer: MetricsBuffer,
    monkeypatch: pytest.MonkeyPatch,
    providers: list[tuple[str, bool]],
    expected: dict[str, int],
) -> None:
    with app.app_context():
        monkeypatch.setitem(app.extensions, "sms", [Provider(app.config, *provider) for provider in providers])
        if Metric.SMS_FAILED in expected:
            with pytest.raises(SmsError):
                sms.send_sms("+8613800138000", "123456")
        else:
            sms.send_sms("+8613800138000", "123456")
    assert {name: value for name, value in buffer.batcher.content.counts.items() if value} == expected


def test_threads_that_count_at_once_lose_nothing(buffer: MetricsBuffer) -> None:
    def many() -> None:
        for _ in range(2_000):
            buffer.count("threads")

    at_once([many] * 8)
    assert buffer.batcher.content.counts["threads"] == 16_000


# --- sending ---


def test_what_was_counted_is_added_to_the_day_in_one_round_trip(
    app: Flask, buffer: MetricsBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Redis = app.extensions["redis"]
    trips: list[object] = []
    pipeline, execute = client.pipeline, client.execute_command

    def piped(*args: Any, **kwargs: Any) -> Any:
        trips.append("pipeline")
        return pipeline(*args, **kwargs)

    def single(*args: Any, **kwargs: Any) -> Any:
        trips.append(args)
        return execute(*args, **kwargs)

    monkeypatch.setattr(client, "pipeline", piped)
    monkeypatch.setattr(client, "execute_command", single)
    for _ in range(2):
        buffer.count("swipes", by=3)
        buffer.add_response(("GET", "/x"), 0.004)
        buffer.flush()
    assert trips == ["pipeline", "pipeline"]
    monkeypatch.undo()
    with app.app_context():
        assert redis.client.hgetall(counts_key(today())) == {b"swipes": b"6"}
        for key in (counts_key, routes_key, slowest_key):
            assert 0 < int(redis.client.ttl(key(today()))) <= 8 * 86_400


def test_an_empty_buffer_sends_nothing(app: Flask, buffer: MetricsBuffer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_buffer, "_send", lambda *_: pytest.fail("an empty buffer was sent"))
    buffer.flush()


def test_a_request_sends_nothing_by_itself(
    app: Flask, buffer: MetricsBuffer, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, woman = people.add(), people.woman()
    monkeypatch.setattr(metrics_buffer, "_send", lambda *_: pytest.fail("a request has waited for its metrics"))
    assert person.like(woman).status_code == 200
    assert buffer.batcher.content.counts[Metric.SWIPES] == 1


def test_one_timer_sends_for_all_that_comes_meanwhile(
    app: Flask, buffer: MetricsBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[tuple[float, Callable[[], None]]] = []

    class Timer:
        """A timer that never fires."""

        daemon = False

        def __init__(self, seconds: float, work: Callable[[], None]) -> None:
            timers.append((seconds, work))

        def start(self) -> None:
            assert self.daemon

    monkeypatch.setattr(batcher.threading, "Timer", Timer)
    monkeypatch.setattr(buffer, "flush_seconds", 5.0)
    for _ in range(3):
        buffer.count("swipes")
        buffer.add_response(("GET", "/x"), 0.001)
    assert [seconds for seconds, _ in timers] == [5.0]
    timers[0][1]()
    assert not buffer.batcher.content.counts
    buffer.count("swipes")
    assert len(timers) == 2
    buffer.batcher.is_planned = False


def test_a_redis_that_is_away_costs_metrics_and_no_more(
    buffer: MetricsBuffer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: Any) -> None:
        raise RedisConnectionError("no route to secret host")

    monkeypatch.setattr(metrics_buffer, "_send", away)
    buffer.count("swipes")
    buffer.flush()
    assert not buffer.batcher.content.counts
    assert "metrics of" in caplog.text
    assert "secret host" not in caplog.text
