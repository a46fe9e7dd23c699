"""Statements mean the same on every database, in a transaction and outside of one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from swiper.clock import now
from swiper.db.engines import engine_options, single_connections
from swiper.db.statements import Statement, execute, on_single_node, read, write
from swiper.db.transactions import transactional
from swiper.db.watches import about_to_run
from swiper.extensions import db
from swiper.profiles.models import Sex
from swiper.vip.models import QuotaKind
from swiper.vip.queries.levels import COUNT_ONE, DAY
from tests.factories import People

ROW = Statement(
    "SELECT id, nickname, bio, sex, birthday, created_at, is_robot, location FROM users WHERE id = :uid",
    *(int, str, bytes, Sex, date, datetime, bool, str),
)
IDS = Statement("SELECT id FROM users WHERE id IN :uids AND is_robot = :is_robot ORDER BY id", int)
SINCE = Statement(
    "SELECT id FROM users WHERE created_at >= :moment AND birthday <= :day", int, everywhere="A test has few people."
)
CLAIM = Statement("INSERT INTO nicknames (folded, uid) VALUES (:folded, :uid) ON CONFLICT (folded) DO NOTHING")
TAKE = Statement(
    """INSERT INTO nicknames (folded, uid) VALUES (:folded, :uid)
    ON CONFLICT (folded) DO UPDATE SET uid = nicknames.uid + excluded.uid RETURNING uid""",
    int,
)
OWNER = Statement("SELECT uid FROM nicknames WHERE folded = :folded", int)

Ask = Callable[..., list[Any]]


def outside(statement: Statement, values: dict[str, Any]) -> list[Any]:
    (rows,) = read((statement, values))
    return rows


@transactional
def inside(statement: Statement, values: dict[str, Any]) -> list[Any]:
    (rows,) = read((statement, values))
    assert rows == execute(statement, values)
    return rows


@pytest.mark.parametrize("ask", [outside, inside])
def test_columns_come_back_as_what_they_hold(app: Flask, people: People, ask: Ask) -> None:
    person = people.woman(birthday=date(2000, 2, 29), bio="é 100% 'quoted' \\ :name", location="上海")
    with app.app_context():
        (row,) = ask(ROW, {"uid": person.id})
        uid, nickname, bio, sex, birthday, created_at, is_robot, location = row
        assert (uid, bio, sex, birthday, is_robot, location) == (
            *(person.id, "é 100% 'quoted' \\ :name".encode(), Sex.FEMALE),
            *(date(2000, 2, 29), False, "上海"),
        )
        assert isinstance(nickname, str)
        assert isinstance(sex, Sex)
        assert is_robot is False
        assert created_at.tzinfo is UTC
        assert abs(now() - created_at) < timedelta(minutes=5)
        assert ask(ROW, {"uid": 5}) == []


@pytest.mark.parametrize("ask", [outside, inside])
def test_lists_of_any_length_are_looked_up(app: Flask, people: People, ask: Ask) -> None:
    uids = sorted(people.add().id for _ in range(3))
    with app.app_context():
        for asked in ([], [5], uids[:1], uids, [*uids, *range(2_000)]):
            found = [uid for (uid,) in ask(IDS, {"uids": asked, "is_robot": False})]
            assert found == [uid for uid in uids if uid in asked]
            assert ask(IDS, {"uids": asked, "is_robot": True}) == []


@pytest.mark.parametrize("ask", [outside, inside])
def test_moments_are_compared_to_the_microsecond_in_any_zone(app: Flask, people: People, ask: Ask) -> None:
    person = people.woman(birthday=date(2000, 2, 29))
    with app.app_context():
        ((created_at,),) = [row[5:6] for row in ask(ROW, {"uid": person.id})]
        for moment in (created_at, created_at.astimezone(timezone(timedelta(hours=8)))):
            found = ask(SINCE, {"moment": moment, "day": date(2000, 2, 29)})
            assert (person.id,) in found
            later = moment + timedelta(microseconds=1)
            assert (person.id,) not in ask(SINCE, {"moment": later, "day": date(2000, 2, 29)})
        whole = created_at.replace(microsecond=0)
        assert (person.id,) in ask(SINCE, {"moment": whole, "day": date(2000, 2, 29)})
        assert (person.id,) not in ask(SINCE, {"moment": whole, "day": date(2000, 2, 28)})


def test_an_insert_leaves_alone_or_changes_what_stands(app: Flask) -> None:
    with app.app_context():
        write("claim", (CLAIM, {"folded": "ann", "uid": 1}))
        write("claim", (CLAIM, {"folded": "ann", "uid": 2}))
        assert read((OWNER, {"folded": "ann"})) == [[(1,)]]
        assert write("take", (TAKE, {"folded": "ann", "uid": 4}), (OWNER, {"folded": "ann"})) == [[(5,)], [(5,)]]
        assert write("take", (TAKE, {"folded": "bea", "uid": 4})) == [[(4,)]]
        assert read((OWNER, {"folded": "bea"}), (OWNER, {"folded": "ann"})) == [[(4,)], [(5,)]]


def test_what_a_transaction_has_written_is_seen_inside_alone_until_it_ends(app: Flask) -> None:
    class GivenUpError(Exception):
        pass

    @transactional
    def claim(*, is_given_up: bool) -> None:
        write("claim", (CLAIM, {"folded": "ann", "uid": 1}))
        assert read((OWNER, {"folded": "ann"})) == [[(1,)]]
        if is_given_up:
            raise GivenUpError()

    with app.app_context():
        with pytest.raises(GivenUpError):
            claim(is_given_up=True)
        assert read((OWNER, {"folded": "ann"})) == [[]]
        claim(is_given_up=False)
        assert read((OWNER, {"folded": "ann"})) == [[(1,)]]


def test_several_statements_of_one_write_are_all_undone_when_one_fails(app: Flask) -> None:
    plain = Statement("INSERT INTO nicknames (folded, uid) VALUES (:folded, :uid)")
    with app.app_context():
        write("claim", (CLAIM, {"folded": "ann", "uid": 1}))
        with pytest.raises(IntegrityError):
            write("two", (plain, {"folded": "bea", "uid": 2}), (plain, {"folded": "ann", "uid": 2}))
        assert read((OWNER, {"folded": "bea"})) == [[]]


def test_a_count_is_told_as_it_stands_after_the_statement(app: Flask) -> None:
    """MariaDB assigns from left to right; an older day counts on the day that is stored."""
    today, tomorrow = date(2026, 3, 1), date(2026, 3, 2)
    with app.app_context():
        key = {"uid": 7, "kind": QuotaKind.LIKE}
        counted = [
            tuple(rows[0][0] for rows in write("count", (COUNT_ONE, key | {"day": day}), (DAY, key)))
            for day in (today, today, tomorrow, today, tomorrow)
        ]
    assert counted == [(1, today), (2, today), (1, tomorrow), (2, tomorrow), (3, tomorrow)]


def test_a_time_without_a_zone_is_refused(app: Flask) -> None:
    for ask in (outside, inside):
        with app.app_context(), pytest.raises(ValueError, match="naive"):
            ask(SINCE, {"moment": datetime(2026, 1, 1), "day": date(2026, 1, 1)})


@pytest.mark.parametrize("is_single_node", [False, True])
def test_a_function_that_does_all_at_once_is_for_one_postgresql_server(
    app: Flask, monkeypatch: pytest.MonkeyPatch, is_single_node: bool
) -> None:
    @on_single_node(lambda number: ("at once", number))
    def in_steps(number: int) -> tuple[str, int]:
        return "in steps", number

    monkeypatch.setattr(app.extensions["database"], "is_single_node", is_single_node)
    with app.app_context():
        assert in_steps(1) == ("at once" if is_single_node else "in steps", 1)
        assert transactional(in_steps)(2) == ("in steps", 2)


def test_one_postgresql_server_alone_does_all_at_once(app: Flask) -> None:
    with app.app_context():
        is_postgres = db.engine.dialect.name == "postgresql"
        is_single = app.config["DATABASE_LAYOUT"] == "single"
    assert app.extensions["database"].is_single_node is (is_postgres and is_single)


@contextmanager
def counting(app: Flask) -> Iterator[list[str]]:
    """What is sent to the database: statements, and each end of a transaction."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        # What is out of date in the cache is read once a second for all requests.
        if not sql.startswith("BEGIN") and "invalidations" not in sql:
            sent.append(sql)

    def note_commit(_connection: Any) -> None:
        sent.append("COMMIT")

    def note_ours(statement: Statement, connection: Any) -> None:
        note(None, None, statement.sql)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "commit", note_commit)
    with about_to_run.connected_to(note_ours):
        yield sent
    event.remove(engine, "before_cursor_execute", note)
    event.remove(engine, "commit", note_commit)


def test_a_deck_takes_three_statements_and_a_like_six(
    app: Flask, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mutual like takes two more. On one PostgreSQL server another test counts what goes over the wire."""
    if app.extensions["database"].reading is None:
        monkeypatch.setattr(app.extensions["database"], "is_single_node", False)
    man, women = people.add(), [people.woman() for _ in range(8)]
    for woman in women[:2]:
        assert woman.like(man).json["code"] == 0
    for _ in range(2):
        assert len(man.deck()) == 5
    assert man.like(women[7]).json["code"] == 0
    with counting(app) as sent:
        assert len(man.deck()) == 5
    if app.extensions["database"].reading is not None:
        assert len(sent) == 3, "\n".join(sent)
    with counting(app) as sent:
        assert man.like(women[6]).json == {"code": 0, "data": {"is_matched": False}}
    assert len(sent) == 6, sent
    with counting(app) as sent:
        assert man.like(women[0]).json == {"code": 0, "data": {"is_matched": True}}
    assert len(sent) == 8, sent


@pytest.mark.parametrize("url", ["postgresql+psycopg://", "mysql+pymysql://"])
@pytest.mark.parametrize(("size", "overflow"), [(10, 20), (10, 0), (3, 3), (4, 50), (20, 5)])
def test_both_pools_together_open_as_many_connections_as_a_process_may(url: str, size: int, overflow: int) -> None:
    config = {
        **{"DATABASE_POOL_SIZE": size, "DATABASE_MAX_OVERFLOW": overflow},
        **{"DATABASE_CONNECT_TIMEOUT_SECONDS": 1, "DATABASE_POOL_TIMEOUT_SECONDS": 1},
        **{"DATABASE_BEHIND_PGBOUNCER": False, "DATABASE_STATEMENT_SECONDS": 1.5},
    }
    options = engine_options(url, config)
    ours = options["pool_size"] + options["max_overflow"]
    kept = single_connections(url, config)
    assert ours + kept == size + overflow
    assert min(ours, kept) >= min(size, (size + overflow) // 2)


def test_a_database_in_memory_is_one_database(make_app: Callable[..., Flask]) -> None:
    app = make_app(database_url="sqlite://", cache_type="null")
    with app.app_context():
        db.create_all(bind_key=None)
        assert read((OWNER, {"folded": "ann"})) == [[]]
