"""Migrations run up and down on the chosen database, and the models agree with them."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import flask_migrate
import msgspec
import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import URL, Connection, MetaData, Table, inspect, select, text
from sqlalchemy.exc import DBAPIError

from config.settings import ROOT, Settings
from deploy.run import is_prepared
from swiper.extensions import db
from swiper.robots.seeding import seed_robots
from swiper.social.models import ENDED, MATCHED

FOLDER = str(ROOT / "migrations")


def tables() -> set[str]:
    with db.engine.connect() as connection:
        return set(inspect(connection).get_table_names()) - {"alembic_version"}


def test_migrations_go_up_and_down_and_match_the_models(empty_app: Flask) -> None:
    with empty_app.app_context():
        flask_migrate.upgrade(FOLDER)
        assert tables() == set(db.metadata.tables)
        flask_migrate.check(FOLDER)
        flask_migrate.downgrade(FOLDER, revision="base")
        assert tables() == set()
        flask_migrate.upgrade(FOLDER)
        assert tables() == set(db.metadata.tables)


def test_check_notices_a_model_without_migration(empty_app: Flask) -> None:
    with empty_app.app_context():
        flask_migrate.upgrade(FOLDER)
        flask_migrate.downgrade(FOLDER, revision="base")
        with pytest.raises(SystemExit):
            flask_migrate.check(FOLDER)


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory(FOLDER).get_heads()) == 1


def test_a_start_waits_for_whatever_a_database_lacks(empty_app: Flask, tmp_path: Path) -> None:
    def is_ready(url: URL) -> bool:
        text = url.render_as_string(hide_password=False)
        return is_prepared(Settings(_env_file=None, instance=tmp_path, database_url=text))

    with empty_app.app_context():
        own = db.engine.url
        assert not is_ready(own)
        flask_migrate.upgrade(FOLDER)
        assert not is_ready(own)
        seed_robots(1)
        assert is_ready(own)
        flask_migrate.downgrade(FOLDER)
        assert not is_ready(own)
    assert not is_ready(own.set(database=f"{own.database}_gone"))


# Two people each, the first with the lower id: what the one and the other thinks of the other, and the mask of 0001.
# A pair without swipes has been rewound; mask 7 was unfriended.
SITUATIONS: dict[str, tuple[str | None, str | None, int, int]] = {
    "the first likes": ("like", None, 1, 1 + 8),
    "the second superlikes": (None, "superlike", 2, 2 + 16),
    "a match": ("superlike", "like", 3, 3 + 24),
    "the first likes in vain": ("like", "dislike", 1, 1 + 24),
    "the second likes in vain": ("dislike", "like", 2, 2 + 24),
    "both dislike": ("dislike", "dislike", 0, 24),
    "the first dislikes": ("dislike", None, 0, 8),
    "the second dislikes": (None, "dislike", 0, 16),
    "unfriended": ("like", "like", 7, 7 + 24),
    "rewound by the only one": (None, None, 0, 0),
    "a match that the first has rewound": (None, "like", 2, 2 + 16),
    "a match that the second has rewound": ("superlike", None, 1, 1 + 8),
}


def fill(connection: Connection) -> None:
    """Rows of every situation, as release 0001 has left them."""
    table = {name: Table(name, MetaData(), autoload_with=connection) for name in ("swipes", "likes_in", "pairs")}
    moment = datetime(2026, 3, 10, 4, 5, 6, 789)
    for number, (first, second, mask, _) in enumerate(SITUATIONS.values()):
        # Nobody is in two situations, but for one who has met everyone; ids are as long as ours.
        low, high = 2**61 + 2 * number, 2**61 + 2 * number + 1
        row = {"uid1": low, "uid2": high, "mask": mask, "changed_at": moment}
        connection.execute(table["pairs"].insert().values(row))
        for uid, sid, kind in ((low, high, first), (high, low, second)):
            if kind:
                connection.execute(table["swipes"].insert().values(uid=uid, sid=sid, kind=kind, swiped_at=moment))
            if kind in ("like", "superlike"):
                like = {"sid": sid, "uid": uid, "is_super": int(kind == "superlike"), "liked_at": moment}
                connection.execute(table["likes_in"].insert().values(like))
    # Somebody else's swipes on the same people answer nothing.
    star = 2**62
    for number in range(0, 2 * len(SITUATIONS), 2):
        uid = 2**61 + number
        connection.execute(table["swipes"].insert().values(uid=star, sid=uid, kind="dislike", swiped_at=moment))
        row = {"uid1": uid, "uid2": star, "mask": 0, "changed_at": moment}
        connection.execute(table["pairs"].insert().values(row))


def rows_of(name: str) -> list[dict[str, Any]]:
    """Everything in a table, in the order of its key."""
    with db.engine.connect() as connection:
        table = Table(name, MetaData(), autoload_with=connection)
        return [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]


def indexes(name: str) -> set[tuple[str | None, tuple[Any, ...]]]:
    with db.engine.connect() as connection:
        return {(index["name"], tuple(index["column_names"])) for index in inspect(connection).get_indexes(name)}


def test_0002_keeps_what_people_have_done_on_the_way_up_and_down(empty_app: Flask) -> None:
    with empty_app.app_context():
        flask_migrate.upgrade(FOLDER, revision="0001")
        with db.engine.begin() as connection:
            fill(connection)
        before = {name: rows_of(name) for name in ("swipes", "likes_in", "pairs")}
        former = {name: indexes(name) for name in ("likes_in", "pairs")}
        for _ in range(2):
            flask_migrate.upgrade(FOLDER, revision="0002")
            check_upgraded(before)
            flask_migrate.downgrade(FOLDER, revision="0001")
            assert {name: rows_of(name) for name in before} == before
            assert {name: indexes(name) for name in former} == former
            with pytest.raises(DBAPIError), db.engine.begin() as connection:
                connection.execute(text("UPDATE pairs SET mask = 8"))


def check_upgraded(before: dict[str, list[dict[str, Any]]]) -> None:
    assert rows_of("swipes") == before["swipes"]
    star = 2**62
    masks = {row["uid1"]: row["mask"] for row in rows_of("pairs") if row["uid2"] != star}
    assert dict(zip(SITUATIONS, masks.values(), strict=True)) == {name: mask for name, (*_, mask) in SITUATIONS.items()}
    assert {row["mask"] for row in rows_of("pairs") if row["uid2"] == star} == {16}
    assert [without(row, "mask") for row in rows_of("pairs")] == [without(row, "mask") for row in before["pairs"]]
    swipes = {(row["uid"], row["sid"]) for row in before["swipes"]}
    likes = rows_of("likes_in")
    assert [without(row, "is_answered") for row in likes] == before["likes_in"]
    assert [row["is_answered"] for row in likes] == [int((row["sid"], row["uid"]) in swipes) for row in likes]
    assert {row["is_answered"] for row in likes} == {0, 1}
    # What the release's own words for these bits are.
    assert masks[2**61 + 2 * list(SITUATIONS).index("a match")] == MATCHED
    assert masks[2**61 + 2 * list(SITUATIONS).index("unfriended")] == MATCHED | ENDED
    with pytest.raises(DBAPIError), db.engine.begin() as connection:
        connection.execute(text("UPDATE pairs SET mask = 32"))
    with pytest.raises(DBAPIError), db.engine.begin() as connection:
        # Nothing is answered by default: whoever writes a like says so.
        connection.execute(text("INSERT INTO likes_in (sid, uid, is_super, liked_at) VALUES (1, 2, 0, '2026-03-10')"))


def without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


# What people write, and whether their album is for friends only.
WRITERS = [('"Quoted" \\ and\n{broken}', True), ("小红 🎈 '); --", False), ("", False)]


def test_0004_makes_everybody_s_card(empty_app: Flask) -> None:
    with empty_app.app_context():
        flask_migrate.upgrade(FOLDER, revision="0003")
        with db.engine.begin() as connection:
            fill_people(connection)
        before = rows_of("discovery")
        with db.engine.begin() as connection:
            # Of somebody who was removed by hand.
            connection.execute(
                text("INSERT INTO discovery SELECT location, 1, sex, dating_sex, birthday, 1 FROM discovery LIMIT 1")
            )
            if connection.dialect.name == "mysql":
                # What is left where it was interrupted: each change of the schema is committed at once.
                connection.execute(text("ALTER TABLE discovery ADD COLUMN card TEXT"))
        for _ in range(2):
            flask_migrate.upgrade(FOLDER, revision="0004")
            rows = rows_of("discovery")
            assert [without(row, "card") for row in rows] == before
            # As this release writes them itself.
            written = [msgspec.json.encode(card_of(number)).decode() for number in range(len(WRITERS))]
            assert [row["card"] for row in rows] == written
            flask_migrate.downgrade(FOLDER, revision="0003")
            assert rows_of("discovery") == before


def fill_people(connection: Connection) -> None:
    """People who can be shown, as release 0003 has left them, and one who cannot."""
    names = ("users", "preferences", "uploads", "discovery")
    table = {name: Table(name, MetaData(), autoload_with=connection) for name in names}
    moment, birthday = datetime(2026, 3, 10, 4, 5, 6), date(1990, 1, 1)
    for number, (bio, only_match) in enumerate([*WRITERS, ("hidden", False)]):
        uid = 2**61 + number
        user: dict[str, Any] = {"id": uid, "phone": str(number), "nickname": f"n{number}", "bio": bio, "avatar": "/a"}
        user |= {"sex": "female", "birthday": birthday, "location": "上海", "status": "active", "is_robot": False}
        connection.execute(table["users"].insert().values(user | {"created_at": moment}))
        wishes: dict[str, Any] = dict.fromkeys(("vibration", "auto_play"), True) | {"only_match": only_match}
        wishes |= {"min_distance": 1, "max_distance": 10, "min_dating_age": 18, "max_dating_age": 45}
        connection.execute(table["preferences"].insert().values(uid=uid, **wishes))
        # An avatar is in no album; the last but one has no photos.
        for place, kind in enumerate(("photo", "avatar", "photo") if number < 2 else ("avatar",)):
            upload = {"uid": uid, "id": 2**60 + place, "kind": kind, "key": f"{number}-{place}", "url": f"/p{place}"}
            connection.execute(table["uploads"].insert().values(**upload, is_pushed=True, created_at=moment))
        if number < len(WRITERS):
            shown = {"location": "上海", "uid": uid, "sex": "female", "dating_sex": "male", "shuffle": number}
            connection.execute(table["discovery"].insert().values(**shown, birthday=birthday))


def card_of(number: int) -> dict[str, Any]:
    """The card that `fill_people` has given reason for."""
    bio, only_match = WRITERS[number]
    photos = [] if only_match or number == 2 else [{"id": str(2**60 + place), "url": f"/p{place}"} for place in (0, 2)]
    card = {"id": str(2**61 + number), "nickname": f"n{number}", "sex": "female", "location": "上海"}
    return card | {"bio": bio, "avatar": "/a", "photos": photos}
