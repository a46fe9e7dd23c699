"""The benchmark's people and swipes are such as the application itself would have stored."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import inspect, select

from bench.data import Filled, fill
from chaos.consistency import half_written, ranking_drift
from config.settings import Settings
from swiper.clock import now
from swiper.extensions import db
from swiper.profiles.models import Discovery, User
from swiper.social import ranking_rebuild
from swiper.social.models import Friend, LikeIn, Pair, Swipe
from tests.processes import environment_of

pytestmark = pytest.mark.services

PEOPLE, SWIPES = 2_000, 20_000


class Here:
    """Stands in for a site of the chaos suite."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    @contextmanager
    def looking(self) -> Iterator[Any]:
        yield db.session


def filled(settings: Settings) -> Filled:
    db.session.rollback()
    return fill(environment_of(settings), settings.database_url, PEOPLE, SWIPES)


def indexes() -> set[str]:
    """What is unique or indexed in the tables of swipes, in words."""
    look = inspect(db.engine)
    tables = [model.__tablename__ for model in (Swipe, LikeIn, Pair, Friend)]
    return {f"{name} {found}" for name in tables for found in [*look.get_indexes(name), look.get_pk_constraint(name)]}


def test_people_and_swipes_are_as_the_rules_would_have_them(
    app: Flask, context: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = indexes()
    made = filled(settings)
    assert indexes() == before
    assert min(made.seed_seconds, made.copy_seconds, made.swipe_seconds) > 0
    assert all(30_000 < peak < 300_000 for peak in (made.seed_peak_kb, made.swipe_peak_kb))
    uids = list(db.session.scalars(select(User.id)))
    assert len(uids) == PEOPLE
    # Quotas of days gone by are not kept.
    assert [fault for fault in half_written(Here(app), uids) if not fault.startswith("quota")] == []
    monkeypatch.setattr(ranking_rebuild, "SETTLE_SECONDS", 0)
    ranking_rebuild.rebuild_ranking()
    assert ranking_drift(Here(app)) == 0
    check_swipes(made)
    again = filled(settings)
    assert (again.idle, again.busy, again.liked) == (made.idle, made.busy, made.liked)
    assert (again.seed_seconds, again.copy_seconds, again.swipe_seconds) == (0, 0, 0)


def check_swipes(made: Filled) -> None:
    swipes = db.session.scalars(select(Swipe)).all()
    assert len(swipes) == pytest.approx(SWIPES, rel=0.02)
    places = {row.uid: (row.location, row.sex) for row in db.session.scalars(select(Discovery))}
    assert all(places[row.sid][0] == places[row.uid][0] for row in swipes)
    assert all(places[row.sid][1] != places[row.uid][1] for row in swipes)
    age = [now() - row.swiped_at for row in swipes]
    assert timedelta(days=1) < min(age) < timedelta(days=2)
    assert timedelta(days=89) < max(age) < timedelta(days=90)
    kinds = Counter(str(row.kind) for row in swipes)
    shares = {kind: count / len(swipes) for kind, count in kinds.items()}
    assert shares == pytest.approx({"like": 0.55, "superlike": 0.05, "dislike": 0.4}, abs=0.03)
    by = Counter(row.uid for row in swipes)
    likes = Counter(db.session.scalars(select(LikeIn.sid)))
    assert len(set(made.idle)) >= 200
    assert not set(made.idle) & {uid for row in swipes for uid in (row.uid, row.sid)}
    assert len(made.busy) == 10
    assert min(by[uid] for uid in made.busy) > 35 > max(count for uid, count in by.items() if uid not in made.busy)
    assert len(made.liked) == 5
    assert min(likes[uid] for uid in made.liked) > 80 > max(n for uid, n in likes.items() if uid not in made.liked)
