"""Days of quotas: midnight in the zone of the service, and clocks that disagree or go back."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from swiper.clock import day_of, today
from swiper.errors import RateLimitedError
from swiper.extensions import db
from swiper.vip.levels import resets_at, spend_quota
from swiper.vip.models import Quota, QuotaKind
from tests.factories import Clock, People
from tests.vip.test_quotas import left, stored, use_up

# Ten in the evening in Shanghai.
EVENING = datetime(2026, 3, 10, 14, tzinfo=UTC)


def test_the_quota_comes_back_at_midnight_in_shanghai(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, EVENING)
    man, woman = people.add(), people.woman()
    use_up(app, man, QuotaKind.LIKE, 50)
    clock.moment = datetime(2026, 3, 10, 15, 59, 59, 999999, tzinfo=UTC)
    assert man.like(woman).status_code == 429
    assert left(man)["like"]["left"] == 0
    clock.advance(microseconds=1)
    assert left(man)["like"] == {"limit": 50, "used": 0, "left": 50}
    assert man.like(woman).status_code == 200
    # MariaDB assigns from left to right: counting after the day has moved on would go on from 50.
    assert stored(app, man) == [("like", date(2026, 3, 11), 1)]
    assert left(man)["like"] == {"limit": 50, "used": 1, "left": 49}


@pytest.mark.parametrize("limit", [None, 1, 5])
def test_a_new_day_counts_from_one_whatever_the_limit(
    limit: int | None, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, EVENING)
    with app.app_context():
        db.session.add(Quota(uid=1, kind=QuotaKind.LIKE, day=today(), used=7))
        db.session.commit()
        clock.advance(days=3)
        spend_quota(1, QuotaKind.LIKE, limit)
        db.session.commit()
        row = db.session.scalars(select(Quota).execution_options(populate_existing=True)).one()
        assert (row.day, row.used) == (date(2026, 3, 13), 1)


def test_days_end_where_the_service_lives(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, EVENING)
    with app.app_context():
        assert day_of(datetime(2026, 3, 10, 15, 59, tzinfo=UTC)) == date(2026, 3, 10)
        assert day_of(datetime(2026, 3, 10, 16, 0, tzinfo=UTC)) == date(2026, 3, 11)
        monkeypatch.setitem(app.config, "TIMEZONE", "America/New_York")
        # Two days before, the clocks there went to summer time.
        assert resets_at(today()) == datetime(2026, 3, 11, 4, tzinfo=UTC)


# Clocks that disagree, or go back.

BEFORE_MIDNIGHT = datetime(2026, 3, 10, 15, 59, 30, tzinfo=UTC)


def test_a_clock_that_goes_back_and_forth_across_midnight_grants_each_day_once(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, BEFORE_MIDNIGHT)
    man = people.add()
    women = [people.woman(is_complete=False) for _ in range(120)]
    granted = []
    for number, woman in enumerate(women):
        clock.moment = BEFORE_MIDNIGHT + timedelta(minutes=number % 2)
        granted.append(man.like(woman).status_code == 200)
    # The later day is opened by the second like, and both clocks count on it from then on.
    assert sum(granted) == 1 + 50


def test_a_day_that_has_begun_is_not_granted_again_after_a_step_back(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, BEFORE_MIDNIGHT)
    man, women = people.add(), [people.woman(is_complete=False) for _ in range(103)]
    codes = [man.like(woman).json["code"] for woman in women[:51]]
    clock.advance(minutes=1)
    codes += [man.like(woman).json["code"] for woman in women[51:102]]
    clock.advance(minutes=-1)
    answer = man.like(women[102])
    assert codes == ([0] * 50 + [1006]) * 2
    assert (answer.status_code, answer.json["data"]) == (429, {"reset_at": "2026-03-11T16:00:00+00:00"})
    assert answer.headers["Retry-After"] == str(86_400 + 30)
    assert left(man)["like"] == {"limit": 50, "used": 50, "left": 0}


@pytest.mark.parametrize("kind", [QuotaKind.SUPERLIKE, QuotaKind.REWIND])
def test_other_quotas_do_not_come_back_with_an_earlier_day(
    kind: QuotaKind, people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, BEFORE_MIDNIGHT + timedelta(minutes=1))
    man, first, second = people.add(vip=3), people.woman(), people.woman()
    man.dislike(first)
    use_up(app, man, kind, 5)
    clock.advance(minutes=-1)
    answer = man.superlike(second) if kind is QuotaKind.SUPERLIKE else man.post("/api/social/rewind")
    assert answer.json["code"] == 1006
    assert left(man)[kind.value]["left"] == 0
    assert stored(app, man) == [(kind.value, date(2026, 3, 11), 5)]


def test_a_rewind_gives_back_what_was_counted_on_the_later_day_by_a_clock_that_is_behind(
    people: People, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, BEFORE_MIDNIGHT)
    man, woman = people.add(vip=2), people.woman()
    with app.app_context():
        db.session.add(Quota(uid=man.id, kind=QuotaKind.LIKE, day=date(2026, 3, 11), used=7))
        db.session.commit()
    man.like(woman)
    assert left(man)["like"]["used"] == 8
    assert man.post("/api/social/rewind").status_code == 200
    assert left(man)["like"]["used"] == 7
    # A swipe of the day before, once midnight has passed here as well, is none of today's.
    man.like(woman)
    clock.advance(minutes=1)
    assert man.post("/api/social/rewind").status_code == 200
    assert left(man)["like"]["used"] == 8


def test_midnight_in_the_middle_of_a_decision_changes_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ticking(Clock):
        def now(self, zone: Any) -> datetime:
            # Each look at the clock falls on the other side of midnight.
            self.moment = BEFORE_MIDNIGHT + (BEFORE_MIDNIGHT - self.moment) + timedelta(minutes=1)
            return super().now(zone)

    Ticking(monkeypatch, BEFORE_MIDNIGHT)
    granted = 0
    with app.app_context():
        for _ in range(20):
            try:
                spend_quota(1, QuotaKind.LIKE, 5)
            except RateLimitedError:
                db.session.rollback()
            else:
                db.session.commit()
                granted += 1
        assert granted <= 6
        assert db.session.scalars(select(Quota.used)).one() == 5
