"""Reads that may lag go to a replica, and only those."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from config.settings import Settings
from swiper.db import replica_lag
from swiper.db.replica_lag import Replica, has_reached
from swiper.db.replicas import FAILED, SERVED, STALE, on_replica, replicas_of_app
from swiper.db.statements import Database, Statement, read
from swiper.db.transactions import transactional
from swiper.extensions import db
from swiper.profiles.cards import cards_of
from swiper.profiles.models import User
from swiper.tallies import Tally, tallies
from tests.factories import People


@pytest.fixture
def replicated(make_app: Callable[..., Flask], tmp_path: Path) -> Flask:
    """An application whose replica stopped following before the first user came."""
    primary, replica = tmp_path / "primary.db", tmp_path / "replica.db"
    app = make_app(database_url=f"sqlite:///{primary}", database_replica_urls=[f"sqlite:///{replica}"])
    with app.app_context():
        db.create_all(bind_key=None)
        db.engine.dispose()
    with sqlite3.connect(primary) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    shutil.copy(primary, replica)
    return app


@pytest.fixture(autouse=True)
def forget_counts() -> None:
    for name in [name for name in tallies if name.startswith(Tally.REPLICA_READS)]:
        del tallies[name]


def counted() -> dict[str, int]:
    """How the reads that may lag were answered."""
    return {
        name.removeprefix(Tally.REPLICA_READS): number
        for name, number in tallies.items()
        if name.startswith(Tally.REPLICA_READS)
    }


def follow(app: Flask, *, without: Sequence[str] = ()) -> None:
    """Let the replica catch up, but for the tables of `without`, which it loses."""
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()
        primary, replica = (Path(str(db.engines[key].url.database)) for key in (None, "replica0"))
    with closing(sqlite3.connect(primary)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for suffix in ("-wal", "-shm"):
        Path(f"{replica}{suffix}").unlink(missing_ok=True)
    shutil.copy(primary, replica)
    with closing(sqlite3.connect(replica)) as connection:
        for table in without:
            connection.execute(f"DROP TABLE {table}")


def seen() -> list[int]:
    return list(db.session.scalars(select(User.id)))


def test_only_reads_that_may_lag_see_the_replica(replicated: Flask) -> None:
    person = People(replicated).add()
    with replicated.app_context():
        assert seen() == [person.id]
        assert on_replica(seen) == []
        assert seen() == [person.id]


def test_a_transaction_reads_from_the_primary_even_where_reads_may_lag(replicated: Flask) -> None:
    person = People(replicated).add()

    @transactional
    def read_inside() -> list[int]:
        return on_replica(seen)

    with replicated.app_context():
        assert read_inside() == [person.id]


def test_the_ranking_is_read_from_a_replica(replicated: Flask) -> None:
    people = People(replicated)
    alice, bob = people.woman(), people.add()
    bob.like(alice)
    assert alice.get("/api/social/hot").json["data"] == []


def test_without_replicas_everything_reads_from_the_primary(people: People, app: Flask) -> None:
    person = people.add()
    with app.app_context():
        assert on_replica(seen) == [person.id]
    assert not counted()


def test_what_belongs_together_is_read_from_one_replica(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    """Two of them may have followed to different moments."""
    urls = [f"sqlite:///{tmp_path / name}.db" for name in ("one", "two")]
    app = make_app(database_url=f"sqlite:///{tmp_path / 'primary.db'}", database_replica_urls=urls)
    used = set()
    with app.app_context():
        for _ in range(40):
            asked = on_replica(lambda: {str(db.session.get_bind().url.database) for _ in range(10)})
            assert len(asked) == 1
            used |= asked
    assert {Path(path).stem for path in used} == {"one", "two"}


def test_the_cards_of_a_list_are_read_where_its_other_rows_are(replicated: Flask) -> None:
    person = People(replicated).add()
    with replicated.app_context():
        assert on_replica(lambda: cards_of([person.id])) == []
        assert [card["id"] for card in cards_of([person.id])] == [person.id]


# --- What is read where ---


def test_a_deck_shows_whom_the_replica_knows_and_nobody_whom_the_primary_knows_as_swiped(replicated: Flask) -> None:
    people = People(replicated)
    alice, bob = people.woman(), people.add()
    assert alice.deck() == []
    follow(replicated)
    assert alice.deck() == [bob.id]
    alice.like(bob)
    assert alice.deck() == []
    assert set(counted()) == {SERVED}


def test_no_swipe_like_or_match_is_read_from_a_replica(replicated: Flask) -> None:
    people = People(replicated)
    alice, bob, carl = people.woman(vip=3), people.add(vip=3), people.add()
    follow(replicated, without=("swipes", "likes_in", "pairs", "friends"))
    bob.superlike(alice)
    carl.like(alice)
    assert alice.deck()[-1] == carl.id
    assert alice.like(carl).json["data"] == {"is_matched": True}
    assert alice.friends() == [carl.id]
    assert len(alice.get("/api/social/liked_me").json["data"]["items"]) == 2
    assert alice.get("/api/social/users", group_num=1).json["code"] == 0
    assert set(counted()) == {SERVED}


def test_what_somebody_has_just_written_is_never_read_from_a_replica(replicated: Flask) -> None:
    alice = People(replicated).woman()
    follow(replicated)
    alice.post("/api/user/profile/modify", bio="new")
    alice.post("/api/user/profile/modify", max_dating_age=44)
    assert alice.get("/api/user/profile").json["data"]["bio"] == "new"
    assert alice.get(f"/api/user/{alice.id}").json["data"]["bio"] == "new"
    assert alice.get("/api/user/profile").json["data"]["max_dating_age"] == 44


# --- A replica that fails ---


def test_a_replica_that_is_away_costs_no_request_its_answer(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    app = make_app(database_replica_urls=[f"sqlite:///{tmp_path / 'nowhere'}/replica.db"])
    people = People(app)
    alice, bob = people.woman(), people.add()
    assert alice.deck() == [bob.id]
    assert set(counted()) == {FAILED, STALE}
    assert counted()[FAILED] == 1


def test_one_that_has_failed_is_asked_again_after_its_rest(replicated: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_lag, "REST_SECONDS", 0.0)
    broken = Statement("SELECT no_such_column FROM users WHERE id = :uid", int)
    with replicated.app_context():
        with pytest.raises(DBAPIError, match="no_such_column"):
            on_replica(lambda: read((broken, {"uid": 1})))
        assert on_replica(seen) == []
    assert counted() == {FAILED: 1, SERVED: 1}


# --- The lag ---


class Servers:
    """A primary and a replica with positions of their own, and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.primary, self.replica, self.asked = 1000.0, 1, 1, 0
        monkeypatch.setattr(replica_lag, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(replica_lag, "position_of", self.position_of)

    def position_of(self, database: Any) -> dict[str, int]:
        self.asked += 1
        return {"": getattr(self, database)}


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    return Servers(monkeypatch)


@pytest.fixture
def replica(app: Flask, servers: Servers) -> Replica:
    """One that may be 5 seconds behind."""
    with app.app_context():
        main = db.engine
    made = Replica("replica 1", Database(main, main, None, is_single_node=False), None, 5.0)  # type: ignore[arg-type]
    made.database, made.primary, made.is_measured = "replica", "primary", True  # type: ignore[assignment]
    return made


def test_a_replica_that_has_all_is_fresh_and_seldom_asked(servers: Servers, replica: Replica) -> None:
    for _ in range(100):
        assert replica.is_fresh()
        servers.now += 0.1
    # Two questions each half a second.
    assert servers.asked <= 42


def test_a_replica_that_stands_still_is_used_until_it_is_too_far_behind(servers: Servers, replica: Replica) -> None:
    assert replica.is_fresh()
    servers.primary = 2
    for _ in range(4):
        servers.now += 1.2
        assert replica.is_fresh()
    servers.now += 0.3
    assert not replica.is_fresh()
    servers.replica = 2
    servers.now += 0.6
    assert replica.is_fresh()


@pytest.mark.parametrize(("lag", "is_used"), [(4, True), (6, False)])
def test_a_replica_with_a_constant_lag_is_used_if_it_is_short(
    servers: Servers, replica: Replica, lag: int, is_used: bool
) -> None:
    found = []
    for second in range(60):
        servers.primary, servers.replica = second, max(0, second - lag)
        servers.now += 1
        # Exports ask more often, which must not push out what the replica will reach.
        replica.is_fresh(servers.now)
        found.append(replica.is_fresh())
    assert set(found[30:]) == {is_used}


def test_an_export_needs_a_replica_that_has_everything_by_now(servers: Servers, replica: Replica) -> None:
    assert replica.is_fresh(servers.now)
    servers.now += 0.01
    servers.primary = 2
    assert not replica.is_fresh(servers.now)
    assert replica.is_fresh()
    servers.replica = 2
    assert replica.is_fresh(servers.now)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("0-1-42", {"0": 42}),
        ("0-1-42,1-7-3", {"0": 42, "1": 3}),
        ("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-42", {"3e11fa47-71ca-11e1-9e33-c80aa9429562": 42}),
        ("a-b:1-5:8-9,\nc-d:7", {"a-b": 5, "c-d": 7}),
    ],
)
def test_positions_of_mariadb_and_mysql(text: str, position: dict[str, int]) -> None:
    assert replica_lag._read_gtids(text) == position


def test_a_position_that_nobody_can_read_is_no_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    database: Any = SimpleNamespace(main=SimpleNamespace(dialect=SimpleNamespace(name="mysql")))
    database.read = lambda _: [[("3e11fa47-71ca-11e1-9e33-c80aa9429562:tag:1-5",)]]
    with pytest.raises(replica_lag.UnmeasuredError, match="unknown form"):
        replica_lag.position_of(database)


def test_a_position_is_reached_when_each_source_is() -> None:
    assert has_reached({"0": 42, "1": 3}, {"0": 42})
    assert not has_reached({"0": 42}, {"0": 42, "1": 1})
    assert not has_reached({"0": 41}, {"0": 42})


def test_the_servers_tell_their_positions(app: Flask, make_app: Callable[..., Flask], settings: Settings) -> None:
    """A database that is its own replica has always reached the end."""
    own = make_app(database_replica_urls=[settings.database_url])
    with own.app_context():
        (replica,) = replicas_of_app()
        assert replica.is_fresh() is not (os.environ.get("TEST_DATABASE") == "mariadb")
