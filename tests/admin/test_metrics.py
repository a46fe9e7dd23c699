"""What is counted, how it reaches the database, and what the charts get."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from swiper import sms
from swiper.admin import metrics, metrics_buffer
from swiper.admin.metrics import metrics_of, series, store_metrics
from swiper.admin.metrics_buffer import BOUNDS_MS, NO_ROUTE, Metric, MetricsBuffer, counts_key, routes_key, slowest_key
from swiper.admin.models import DailyMetric
from swiper.admin.route_latency import slowest_routes
from swiper.admin.tasks import store_metrics as store_metrics_task
from swiper.clock import today
from swiper.extensions import db, redis
from swiper.robots.seeding import seed_robots
from swiper.sms import SmsError
from swiper.tasks import batcher
from swiper.vip.models import Order
from swiper.vip.orders import add_order, confirm_payment
from swiper.vip.payments import PaymentNotice
from tests.admin.conftest import AdminClient
from tests.factories import Clock, People, Person, at_once

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)


@pytest.fixture
def buffer(app: Flask) -> Iterator[MetricsBuffer]:
    """The buffer of the application, empty at first."""
    made: MetricsBuffer = app.extensions["metrics_buffer"]
    for part in made.batcher.content:
        part.clear()
    yield made
    for part in made.batcher.content:
        part.clear()


def stored() -> dict[tuple[date, str], int]:
    return {(row.day, row.name): row.value for row in db.session.scalars(db.select(DailyMetric))}


# --- what is counted ---


def test_swipes_likes_and_matches_are_counted_once_each(buffer: MetricsBuffer, people: People) -> None:
    man, woman, other = people.add(vip=3), people.woman(), people.woman()
    man.like(woman)
    man.like(woman)
    man.dislike(other)
    woman.like(man)
    man.superlike(people.woman())
    man.like(man)
    assert buffer.batcher.content.counts == {Metric.SWIPES: 4, Metric.LIKES: 3, Metric.MATCHES: 1}


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
        ([("aliyun", False)], {Metric.SMS_SENT: 1, Metric.SMS_COST: 45_000}),
        ([("aliyun", True), ("ronglian", False)], {Metric.SMS_SENT: 1, Metric.SMS_COST: 45_000}),
        ([("aliyun", True), ("ronglian", True)], {Metric.SMS_FAILED: 1}),
        ([("console", False)], {Metric.SMS_SENT: 1}),
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


# --- routes ---


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


# --- days ---


def test_the_beat_stores_the_days_and_a_value_never_falls(
    app: Flask, buffer: MetricsBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, NOON)
    with app.app_context():
        buffer.count(Metric.SWIPES, by=10)
        buffer.flush()
        store_metrics()
        day = today()
        assert stored()[day, "swipes"] == 10
        # Redis loses what it had, and begins again.
        redis.client.flushdb()
        buffer.count(Metric.SWIPES, by=4)
        buffer.flush()
        store_metrics()
        assert stored()[day, "swipes"] == 10
        buffer.count(Metric.SWIPES, by=8)
        buffer.flush()
        store_metrics()
        assert stored()[day, "swipes"] == 12
        # What came in the last minute before midnight is written down after it.
        buffer.count(Metric.SWIPES, by=5)
        buffer.flush()
        clock.advance(hours=12)
        assert today() == day + timedelta(days=1)
        store_metrics()
        assert (stored()[day, "swipes"], stored()[today(), "swipes"]) == (17, 0)


def test_days_that_the_beat_has_missed_are_filled_in_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, NOON)
    with app.app_context():
        assert store_metrics() == metrics.KEPT_DAYS
        assert store_metrics() == 2
        db.session.execute(db.delete(DailyMetric).where(DailyMetric.day == today() - timedelta(days=9)))
        db.session.commit()
        assert store_metrics() == 3


def test_sign_ups_are_counted_on_their_day_without_robots(
    app: Flask, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.add(is_complete=False)
    people.add(is_complete=False)
    with app.app_context():
        seed_robots(3, 1)
        day = today()
        assert metrics_of(day)[Metric.SIGN_UPS] == 2
        assert metrics_of(day - timedelta(days=1))[Metric.SIGN_UPS] == 0
        assert metrics_of(day + timedelta(days=1))[Metric.SIGN_UPS] == 0
        db.session.remove()


def test_revenue_is_what_was_paid_on_the_day(app: Flask, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOON)
    uid = people.add(is_complete=False).id
    with app.app_context():
        for amount in (500, 700, 900):
            order = add_order(uid, 1, 1, amount)
            db.session.commit()
            if amount < 900:
                confirm_payment(order.provider, PaymentNotice(order.id, f"p{amount}", amount, "CNY"))
            clock.advance(hours=12)
        # 500 at noon, 700 at midnight, which is the next day's; 900 never.
        assert metrics_of(date(2026, 3, 10))[Metric.REVENUE] == 500
        assert metrics_of(date(2026, 3, 11))[Metric.REVENUE] == 700
        db.session.execute(db.delete(Order))
        db.session.commit()
        assert metrics_of(date(2026, 3, 10))[Metric.REVENUE] == 0


def test_the_revenue_of_deleted_accounts_stays(app: Flask, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, NOON)
    person = people.add(is_complete=False)
    with app.app_context():
        order = add_order(person.id, 1, 1, 500)
        db.session.commit()
        confirm_payment(order.provider, PaymentNotice(order.id, "p", 500, "CNY"))
        store_metrics()
        db.session.remove()
    assert person.delete_account().status_code == 200
    with app.app_context():
        store_metrics()
        assert stored()[today(), "revenue"] == 500
        db.session.remove()


def test_the_match_rate_is_matches_in_a_hundred_likes(app: Flask, buffer: MetricsBuffer) -> None:
    with app.app_context():
        assert series(1)["match_rate"] == [None]
        buffer.count(Metric.LIKES, by=80)
        buffer.count(Metric.MATCHES, by=6)
        buffer.flush()
        assert series(1)["match_rate"] == [7.5]


def test_the_charts_get_every_day_and_today_as_it_is(app: Flask, buffer: MetricsBuffer, admin: AdminClient) -> None:
    with app.app_context():
        db.session.add(DailyMetric(day=today() - timedelta(days=2), name="swipes", value=7))
        db.session.add(DailyMetric(day=today() - timedelta(days=40), name="swipes", value=9))
        db.session.commit()
        day = today()
        buffer.count(Metric.SWIPES, by=3)
        buffer.flush()
        db.session.remove()
    data = admin.get("/admin/figures.json", days=7).json["data"]
    assert data["days"] == [(day - timedelta(days=back)).isoformat() for back in reversed(range(7))]
    assert data["swipes"] == [0, 0, 0, 0, 7, 0, 3]
    assert {name.value for name in Metric} <= set(data)
    assert len(admin.get("/admin/figures.json").json["data"]["days"]) == 30
    for days in ("0", "91", "x"):
        assert admin.get("/admin/figures.json", days=days).status_code == 422


def test_the_page_shows_the_same_numbers_as_tables(app: Flask, buffer: MetricsBuffer, admin: AdminClient) -> None:
    buffer.count(Metric.SMS_COST, by=1_234_000)
    buffer.flush()
    page = admin.read("/admin", days=7)
    assert page.count("<details>") == 9
    assert "1.234" in page
    assert "<code>GET /admin</code>" not in page
    buffer.flush()
    assert "<code>GET /admin</code>" in admin.read("/admin")


def test_the_task_samples_the_queue_and_stores_the_metrics(app: Flask) -> None:
    with app.app_context():
        store_metrics_task()
        assert stored()[today(), "queue_peak"] == 0
        assert redis.client.exists("{figures}:queue")
        db.session.remove()
