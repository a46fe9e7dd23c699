"""Reads that may lag go to a replica, and only those."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from swiper.db.replicas import replica_reads
from swiper.db.transactions import transactional
from swiper.extensions import db
from swiper.profiles.cards import cards_of
from swiper.profiles.models import User
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


def seen() -> list[int]:
    return list(db.session.scalars(select(User.id)))


def test_only_reads_that_may_lag_see_the_replica(replicated: Flask) -> None:
    person = People(replicated).add()
    with replicated.app_context():
        assert seen() == [person.id]
        with replica_reads():
            assert seen() == []
        assert seen() == [person.id]


def test_a_transaction_reads_from_the_primary_even_where_reads_may_lag(replicated: Flask) -> None:
    person = People(replicated).add()

    @transactional
    def read_inside() -> list[int]:
        with replica_reads():
            return seen()

    with replicated.app_context():
        assert read_inside() == [person.id]


def test_the_ranking_is_read_from_a_replica(replicated: Flask) -> None:
    people = People(replicated)
    alice, bob = people.woman(), people.add()
    bob.like(alice)
    assert alice.get("/api/social/hot").json["data"] == []


def test_without_replicas_everything_reads_from_the_primary(people: People, app: Flask) -> None:
    person = people.add()
    with app.app_context(), replica_reads():
        assert seen() == [person.id]


def test_what_belongs_together_is_read_from_one_replica(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    """Two of them may have followed to different moments."""
    urls = [f"sqlite:///{tmp_path / name}.db" for name in ("one", "two")]
    app = make_app(database_url=f"sqlite:///{tmp_path / 'primary.db'}", database_replica_urls=urls)
    used = set()
    with app.app_context():
        for _ in range(40):
            with replica_reads():
                asked = {str(db.session.get_bind().url.database) for _ in range(10)}
            assert len(asked) == 1
            used |= asked
    assert {Path(path).stem for path in used} == {"one", "two"}


def test_the_cards_of_a_list_are_read_where_its_other_rows_are(replicated: Flask) -> None:
    person = People(replicated).add()
    with replicated.app_context():
        with replica_reads():
            assert cards_of([person.id]) == []
        assert [card["id"] for card in cards_of([person.id])] == [person.id]
