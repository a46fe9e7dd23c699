"""Memberships: bought, extended, upgraded and ended."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from swiper.extensions import db
from swiper.signals import vip_changed
from swiper.vip.levels import vip_status_of
from swiper.vip.memberships import add_months, expire_memberships, grant
from swiper.vip.models import Membership
from tests.factories import Clock, People, at_once

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ((2026, 1, 15), 1, (2026, 2, 15)),
        ((2026, 1, 31), 1, (2026, 2, 28)),
        ((2028, 1, 31), 1, (2028, 2, 29)),
        ((2026, 1, 31), 3, (2026, 4, 30)),
        ((2028, 2, 29), 12, (2029, 2, 28)),
        ((2026, 11, 30), 1, (2026, 12, 30)),
        ((2026, 12, 31), 1, (2027, 1, 31)),
        ((2026, 12, 31), 2, (2027, 2, 28)),
        ((2026, 3, 10), 36, (2029, 3, 10)),
    ],
)
def test_months_are_those_of_the_calendar(start: Any, months: int, end: Any) -> None:
    moment = datetime(*start, 13, 14, 15, 16, tzinfo=UTC)
    assert add_months(moment, months) == datetime(*end, 13, 14, 15, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((2, 1), (2, 2), (2, datetime(2026, 6, 10, 4, tzinfo=UTC))),
        # 31 days of level 1 are worth 31/3 of level 3.
        ((1, 1), (3, 1), (3, datetime(2026, 4, 10, 4, tzinfo=UTC) + timedelta(days=31) / 3)),
        ((3, 1), (1, 1), (3, datetime(2026, 4, 10, 4, tzinfo=UTC) + timedelta(days=31) / 3)),
    ],
)
def test_buying_more_extends_upgrades_or_prolongs(
    first: tuple[int, int], second: tuple[int, int], expected: Any, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, NOON)
    with app.app_context():
        grant(1, *first)
        grant(1, *second)
        current = vip_status_of(1)
    assert current.level.level == expected[0]
    assert current.expires_at is not None
    assert abs(current.expires_at - expected[1]) <= timedelta(microseconds=1)


def test_an_expired_level_is_not_credited(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOON)
    with app.app_context():
        grant(1, 3, 1)
        clock.advance(days=60)
        grant(1, 1, 1)
        current = vip_status_of(1)
    assert (current.level.level, current.expires_at) == (1, add_months(clock.moment, 1))


def test_grants_at_the_same_moment_all_count(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, NOON)

    def give() -> None:
        with app.app_context():
            grant(1, 2, 1)

    at_once([give] * 10)
    with app.app_context():
        assert vip_status_of(1).expires_at == add_months(NOON, 10)


def test_a_grant_shows_at_once_though_the_account_is_cached(people: People, app: Flask) -> None:
    man, woman = people.add(), people.woman()
    assert man.superlike(woman).status_code == 403
    with app.app_context():
        grant(man.id, 1, 1)
    assert man.superlike(woman).status_code == 200


def test_expired_memberships_are_removed_and_told(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOON)
    told: list[int] = []

    def note(_: Any, uid: int) -> None:
        told.append(uid)

    with app.app_context():
        grant(1, 1, 1)
        grant(2, 1, 2)
        clock.moment = add_months(NOON, 1)
        with vip_changed.connected_to(note):
            assert expire_memberships() == [1]
            assert expire_memberships() == []
        assert [row.uid for row in db.session.scalars(select(Membership))] == [2]
    assert told == [1]
