"""How metrics reach the database by day, and what the charts get."""

from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask

from swiper.admin import metrics
from swiper.admin.metrics import metrics_of, series, store_metrics
from swiper.admin.metrics_buffer import Metric, MetricsBuffer, counts_key
from swiper.admin.models import DailyMetric
from swiper.admin.tasks import store_metrics as store_metrics_task
from swiper.clock import today
from swiper.extensions import db, redis
from swiper.robots.seeding import seed_robots
from swiper.vip.models import Order
from swiper.vip.orders import add_order, confirm_payment
from swiper.vip.payments import PaymentNotice
from tests.admin.conftest import AdminClient
from tests.factories import Clock, People

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)


def stored() -> dict[tuple[date, str], int]:
    return {(row.day, row.name): row.value for row in db.session.scalars(db.select(DailyMetric))}


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
        # A Redis that was restarted lacks its last second.
        redis.client.hincrby(counts_key(day), Metric.SWIPES.value, -1)
        store_metrics()
        assert stored()[day, "swipes"] == 10
        # What came in the last minute before midnight is written down after it.
        buffer.count(Metric.SWIPES, by=5)
        buffer.flush()
        clock.advance(hours=12)
        assert today() == day + timedelta(days=1)
        store_metrics()
        assert (stored()[day, "swipes"], stored()[today(), "swipes"]) == (14, 0)


def test_counts_that_redis_has_lost_go_on_from_what_is_stored(
    app: Flask, buffer: MetricsBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, NOON)
    with app.app_context():
        buffer.count(Metric.SWIPES, by=10)
        buffer.flush()
        store_metrics()
        redis.client.flushdb()
        buffer.count(Metric.SWIPES, by=4)
        buffer.flush()
        for _ in range(2):
            store_metrics()
            assert stored()[today(), "swipes"] == 14
        assert redis.client.ttl(counts_key(today())) > 7 * 86_400


def test_counts_of_a_release_that_did_not_look_for_losses_are_not_doubled(
    app: Flask, buffer: MetricsBuffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, NOON)
    with app.app_context():
        buffer.count(Metric.SWIPES, by=10)
        buffer.flush()
        store_metrics()
        redis.client.hdel(counts_key(today()), metrics.CHECKED)
        store_metrics()
        assert stored()[today(), "swipes"] == 10


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
