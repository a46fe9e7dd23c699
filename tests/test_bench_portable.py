"""`make bench ONLY=portable`: what it needs installed, how it judges, and whom it measures."""

from collections import Counter

import pytest
from flask import Flask
from sqlalchemy import select

from bench import servers
from bench.callers import Caller, pair_up
from bench.data import Cast, fill_here
from bench.measurements import portable
from bench.measurements.round_trips import row
from swiper.extensions import db
from swiper.profiles.models import Discovery
from swiper.social.models import LikeIn, Pair, Swipe, SwipeKind

PEOPLE, SWIPES = 800, 2_000


def test_targets_are_those_of_each_database() -> None:
    targets = {each.name: (each.deck_target, each.like_target) for each in (portable.MARIADB, portable.SQLITE)}
    assert targets == {"MariaDB": (4.5, 6.0), "SQLite": (3.5, 5.0)}
    assert (portable.DECK_ROUND_TRIPS, portable.LIKE_ROUND_TRIPS) == (3, 7)


def test_round_trips_to_redis_count_only_where_they_have_a_target() -> None:
    found = {redis: row("like", (7.0, 3.0, 0, 0), 7, redis) for redis in (None, 2, 3)}
    assert {redis: (each.target, each.is_reached) for redis, each in found.items()} == {
        None: ("<= 7", True),
        2: ("<= 7 and 2", False),
        3: ("<= 7 and 3", True),
    }
    assert not row("like", (8.0, 3.0, 0, 0), 7, None).is_reached


def test_mariadb_must_be_installed_only_for_what_measures_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "missing_programs", lambda: ["mariadbd", "nginx"])
    monkeypatch.setenv("PATH", "")
    assert servers.not_installed(needs_mariadb=False) == ["nginx", "wrk"]
    assert servers.not_installed(needs_mariadb=True) == ["mariadbd", "nginx", "wrk"]


def test_callers_meet_each_of_the_people_once_and_never_themselves() -> None:
    callers = [Caller(uid, "") for uid in (1, 2, 8, 9)]
    found = [(caller.id, uid) for caller, uid in pair_up(callers, range(1, 7))]
    assert Counter(found) == Counter((caller.id, uid) for caller in callers for uid in range(1, 7) if caller.id != uid)
    # Callers take turns.
    assert [uid for uid, _ in found[-4:]] == [1, 2, 8, 9]


@pytest.fixture
def cast(context: None) -> Cast:
    return fill_here(PEOPLE, SWIPES)


def test_every_database_is_filled_as_the_rules_would_have_it(app: Flask, cast: Cast) -> None:
    rows = db.session.scalars(select(Swipe)).all()
    by = Counter(swipe.uid for swipe in rows)
    cities = {found.uid: found.location for found in db.session.scalars(select(Discovery))}
    assert len(cities) == PEOPLE
    assert len(cast.busy) == 10
    assert min(by[uid] for uid in cast.busy) > 100 > max(n for uid, n in by.items() if uid not in cast.busy)
    at_home = {uid: sum(swipe.uid == uid and cities[swipe.sid] == cities[uid] for swipe in rows) for uid in cast.busy}
    # Enough of them are left for a deck.
    assert all(0 < count <= PEOPLE / 8 / 2 / 3 for count in at_home.values())
    assert not set(cast.idle) & {uid for swipe in rows for uid in (swipe.uid, swipe.sid)}
    likes = {(swipe.uid, swipe.sid) for swipe in rows if swipe.kind is not SwipeKind.DISLIKE}
    assert {(like.uid, like.sid) for like in db.session.scalars(select(LikeIn))} == likes
    pairs = {(pair.uid1, pair.uid2) for pair in db.session.scalars(select(Pair))}
    assert pairs == {(min(swipe.uid, swipe.sid), max(swipe.uid, swipe.sid)) for swipe in rows}
