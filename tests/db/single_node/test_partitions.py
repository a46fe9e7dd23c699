"""`flask partition` on a PostgreSQL server. CI runs the social suite on split tables as well (`make test-ways`)."""

from collections.abc import Iterator
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import func, select, text

from config.settings import ROOT
from swiper.db import partitions
from swiper.db.partitions import PARTITIONED, partition
from swiper.extensions import db
from swiper.social.models import LikeIn, Pair, Swipe, SwipeKind
from swiper.social.ranking_rebuild import rebuild_ranking
from swiper.social.swipes import rewind, swipe
from swiper.vip.levels import seed_levels, vip_status_of
from tests.factories import People

PARTS = 4


@pytest.fixture
def filled(empty_app: Flask) -> Iterator[Flask]:
    """A site of its own with some swipes."""
    with empty_app.app_context():
        flask_migrate.upgrade(str(ROOT / "migrations"))
        seed_levels()
        people = People(empty_app)
        men, women = [people.add(vip=3) for _ in range(3)], [people.woman(vip=3) for _ in range(3)]
        for man in men:
            for woman in women:
                swipe(man.id, woman.id, SwipeKind.LIKE, vip_status_of(man.id))
        swipe(women[0].id, men[0].id, SwipeKind.SUPERLIKE, vip_status_of(women[0].id))
        empty_app.config["PEOPLE"] = [person.id for person in (*men, *women)]
        yield empty_app


def rows() -> dict[str, list[Any]]:
    db.session.rollback()
    found = {
        model.__tablename__: sorted(map(tuple, db.session.execute(select(*model.__table__.c))))
        for model in (Swipe, LikeIn, Pair)
    }
    db.session.rollback()
    return found


def in_parts_of(name: str) -> int:
    count = text("SELECT count(*) FROM pg_inherits WHERE inhparent = CAST(:name AS regclass)")
    return db.session.scalar(count, {"name": name}) or 0


def test_filled_tables_keep_their_rows_and_the_schema_is_as_the_models_say(filled: Flask) -> None:
    before = rows()
    runner = filled.test_cli_runner()
    result = runner.invoke(args=["partition", "--parts", str(PARTS)])
    assert (result.exit_code, result.output) == (0, "3 tables are split into 4 parts, 0 were before.\n")
    assert rows() == before
    assert {in_parts_of(name) for name in PARTITIONED} == {PARTS}
    db.session.rollback()
    checked = runner.invoke(args=["db", "check"])
    assert checked.exit_code == 0, checked.output
    assert runner.invoke(args=["db", "upgrade"]).exit_code == 0
    again = runner.invoke(args=["partition", "--parts", str(PARTS)])
    assert again.output == "0 tables are split into 4 parts, 3 were before.\n"


def test_migrations_go_down_and_up_on_split_tables(empty_app: Flask) -> None:
    with empty_app.app_context():
        flask_migrate.upgrade(str(ROOT / "migrations"))
        partition(db.engine, db.metadata, PARTS)
        flask_migrate.downgrade(str(ROOT / "migrations"), "base")
        flask_migrate.upgrade(str(ROOT / "migrations"))
        assert in_parts_of("swipes") == 0


def test_what_people_do_works_on_split_tables(filled: Flask) -> None:
    partition(db.engine, db.metadata, PARTS)
    men, women = filled.config["PEOPLE"][:3], filled.config["PEOPLE"][3:]
    assert swipe(women[1], men[1], SwipeKind.LIKE, vip_status_of(women[1])).is_matched
    assert swipe(women[1], men[1], SwipeKind.LIKE, vip_status_of(women[1])).is_matched
    assert rewind(women[1], vip_status_of(women[1])) == men[1]
    assert not swipe(women[1], men[1], SwipeKind.DISLIKE, vip_status_of(women[1])).is_matched
    assert rebuild_ranking() == 5
    db.session.rollback()
    assert db.session.scalar(select(func.count()).select_from(Swipe)) == 11


def test_a_table_whose_copy_fails_is_as_before(filled: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows()
    real = partitions.statements_for

    def broken(table: Any, parts: int) -> list[str]:
        found = real(table, parts)
        return [*found, "SELECT 1 / 0"] if table.name == "likes_in" else found

    monkeypatch.setattr(partitions, "statements_for", broken)
    with pytest.raises(Exception, match="division by zero"):
        partition(db.engine, db.metadata, PARTS)
    assert rows() == before
    assert [in_parts_of(name) for name in PARTITIONED] == [PARTS, 0, 0]
    db.session.rollback()
    monkeypatch.undo()
    assert partition(db.engine, db.metadata, PARTS) == ["likes_in", "pairs"]
    assert rows() == before
