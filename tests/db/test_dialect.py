"""What the three databases must do alike: moments, upserts, retried transactions, and what follows a commit."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError, StatementError

from swiper.auth.models import Phone
from swiper.bans.models import IpBan
from swiper.clock import now
from swiper.db.transactions import ATTEMPTS, FEW_ATTEMPTS, after_commit, transactional
from swiper.db.upsert import bulk_insert, insert_if_absent, upsert
from swiper.extensions import db
from swiper.http.responses import is_outage
from swiper.profiles.models import Nickname, Preferences, Sex, Status, Tombstone, User
from tests.factories import at_once

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture(autouse=True)
def clean_session(context: None) -> Iterator[None]:
    yield
    db.session.rollback()


def conflict() -> DBAPIError:
    """The error that a database reports for a conflict with another transaction."""
    if db.engine.dialect.name == "mysql":
        return OperationalError("UPDATE", {}, Exception(1213, "Deadlock found"))
    # SQLite has one writer at a time and so no such conflict; it stands in for PostgreSQL.
    original: Any = Exception("deadlock detected")
    original.sqlstate = "40P01"
    return OperationalError("UPDATE", {}, original)


def stored(uid: int) -> datetime | None:
    db.session.rollback()
    return db.session.scalar(select(Tombstone.deleted_at).where(Tombstone.uid == uid))


# --- moments ---


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 7, 1, 8, 0, 0, 1, tzinfo=timezone(timedelta(hours=8))),
        datetime(2000, 2, 29, tzinfo=timezone(-timedelta(hours=11))),
    ],
)
def test_a_moment_comes_back_to_the_microsecond_in_utc(moment: datetime) -> None:
    db.session.add(Tombstone(uid=1, deleted_at=moment))
    db.session.commit()
    db.session.expunge_all()
    found = stored(1)
    assert found == moment
    assert found is not None
    assert found.utcoffset() == timedelta(0)


def test_moments_are_compared_as_moments() -> None:
    moment = datetime(2026, 7, 1, 12, tzinfo=UTC)
    db.session.add(Tombstone(uid=1, deleted_at=moment))
    db.session.commit()
    same = moment.astimezone(timezone(timedelta(hours=8)))
    query = select(func.count()).select_from(Tombstone)
    assert db.session.scalar(query.where(Tombstone.deleted_at <= same)) == 1
    assert db.session.scalar(query.where(Tombstone.deleted_at < same)) == 0
    assert db.session.scalar(query.where(Tombstone.deleted_at > same - timedelta(microseconds=1))) == 1


def test_a_naive_time_is_refused() -> None:
    db.session.add(Tombstone(uid=1, deleted_at=datetime(2026, 1, 1)))
    with pytest.raises(StatementError, match="naive"):
        db.session.commit()


def test_no_moment_stays_none() -> None:
    db.session.add(IpBan(network="203.0.113.9/32", reason="", expires_at=None))
    db.session.commit()
    db.session.expunge_all()
    assert db.session.get_one(IpBan, "203.0.113.9/32").expires_at is None


def test_now_is_aware() -> None:
    assert now().utcoffset() == timedelta(0)


# --- upserts ---


def test_an_upsert_inserts_and_then_changes_as_told() -> None:
    def ban(reason: str) -> None:
        row = {"network": "203.0.113.9/32", "reason": reason, "expires_at": None, "created_at": now()}
        upsert(IpBan, [row], ["network"], lambda old, new: {"reason": old.reason + new.reason})
        db.session.commit()

    ban("a")
    ban("b")
    ban("c")
    assert db.session.scalars(select(IpBan.reason)).all() == ["abc"]


def test_an_upsert_takes_many_rows() -> None:
    rows = [
        {"network": f"203.0.113.{n}/32", "reason": str(n), "expires_at": None, "created_at": now()} for n in range(50)
    ]
    for _ in range(2):
        upsert(IpBan, rows, ["network"], lambda _, new: {"reason": new.reason})
        db.session.commit()
    assert db.session.scalar(select(func.count()).select_from(IpBan)) == 50


def test_insert_if_absent_leaves_what_stands() -> None:
    insert_if_absent(Phone, [{"phone": "+861", "uid": 1}], ["phone"])
    insert_if_absent(Phone, [{"phone": "+861", "uid": 2}, {"phone": "+862", "uid": 3}], ["phone"])
    db.session.commit()
    assert {row.phone: row.uid for row in db.session.scalars(select(Phone))} == {"+861": 1, "+862": 3}


def test_insert_if_absent_hides_no_other_error() -> None:
    with pytest.raises((IntegrityError, OperationalError)):
        insert_if_absent(Phone, [{"phone": "+861", "uid": None}], ["phone"])


def test_many_rows_at_once_have_the_types_and_defaults_of_their_columns() -> None:
    moment = datetime(2026, 7, 1, 8, 0, 0, 1, tzinfo=timezone(timedelta(hours=8)))
    texts = ["\t\n\r\\ \\N \\.", "'\"`;--", "%s %(x)s ? :x", "", "小明 🙂"]
    rows = [(n, f"p{n}", "x", Sex.FEMALE, date(2000, 2, 29), None, text, moment) for n, text in enumerate(texts, 1)]
    columns = ("id", "phone", "nickname", "sex", "birthday", "location", "bio", "created_at")
    bulk_insert(User, columns, iter(rows))
    bulk_insert(Preferences, ["uid"], [(1,)])
    bulk_insert(Tombstone, ["uid"], [(1,)])
    db.session.commit()
    users = db.session.scalars(select(User).order_by(User.id)).all()
    assert [tuple(getattr(user, column) for column in columns) for user in users] == rows
    assert {(user.status, user.is_robot, user.avatar) for user in users} == {(Status.ACTIVE, False, "")}
    preferences = db.session.get_one(Preferences, 1)
    assert (preferences.dating_sex, preferences.max_dating_age, preferences.vibration) == (None, 45, True)
    assert abs(db.session.get_one(Tombstone, 1).deleted_at - now()) < timedelta(minutes=1)


def test_many_rows_at_once_are_part_of_the_transaction() -> None:
    bulk_insert(Phone, ["phone", "uid"], [("+861", 1), ("+862", 2)])
    assert db.session.scalar(select(func.count()).select_from(Phone)) == 2
    db.session.rollback()
    bulk_insert(Phone, ["phone", "uid"], [])
    assert db.session.scalar(select(func.count()).select_from(Phone)) == 0


def test_many_rows_at_once_are_refused_like_one_and_not_quoted() -> None:
    with pytest.raises(IntegrityError) as refused:
        bulk_insert(Nickname, ["folded", "uid"], [("a secret", 1), ("a secret", 2)])
    if db.engine.dialect.name == "postgresql":
        assert "secret" not in str(refused.value)
    db.session.rollback()
    with pytest.raises((ValueError, StatementError), match="naive"):
        bulk_insert(Tombstone, ["uid", "deleted_at"], [(1, datetime(2026, 1, 1))])


def test_text_is_compared_with_its_case() -> None:
    insert_if_absent(Phone, [{"phone": "a", "uid": 1}, {"phone": "A", "uid": 2}], ["phone"])
    db.session.commit()
    assert db.session.scalar(select(Phone.uid).where(Phone.phone == "A")) == 2


# --- transactions ---


def test_a_service_that_meets_a_conflict_runs_again_from_the_start() -> None:
    runs: list[int] = []
    followed: list[int] = []

    @transactional
    def work() -> str:
        runs.append(len(runs))
        db.session.add(Tombstone(uid=len(runs), deleted_at=now()))
        after_commit(lambda: followed.append(len(runs)))
        db.session.flush()
        if len(runs) < 3:
            raise conflict()
        return "done"

    assert work() == "done"
    assert len(runs) == 3
    assert followed == [3]
    assert db.session.scalars(select(Tombstone.uid)).all() == [3]


def test_a_conflict_that_does_not_end_is_told() -> None:
    runs: list[int] = []

    @transactional
    def work() -> None:
        runs.append(1)
        raise conflict()

    with pytest.raises(DBAPIError):
        work()
    assert len(runs) == ATTEMPTS


def test_a_duplicate_key_is_tried_again_twice_at_most() -> None:
    runs: list[int] = []

    @transactional
    def work() -> None:
        runs.append(1)
        db.session.add_all([Phone(phone="+861", uid=1)])
        db.session.flush()
        db.session.expunge_all()
        db.session.add(Phone(phone="+861", uid=2))
        db.session.flush()

    with pytest.raises(IntegrityError):
        work()
    assert len(runs) == FEW_ATTEMPTS
    assert db.session.scalar(select(func.count()).select_from(Phone)) == 0


@pytest.mark.parametrize("error", [ValueError("x"), ProgrammingError("SELECT", {}, Exception("no such table"))])
def test_any_other_error_ends_the_work_at_once_and_undoes_it(error: Exception) -> None:
    runs: list[int] = []
    followed: list[int] = []

    @transactional
    def work() -> None:
        runs.append(1)
        db.session.add(Tombstone(uid=1, deleted_at=now()))
        db.session.flush()
        after_commit(lambda: followed.append(1))
        raise error

    with pytest.raises(type(error)):
        work()
    assert runs == [1]
    assert followed == []
    assert stored(1) is None


def test_an_inner_service_joins_the_outer_one() -> None:
    order: list[str] = []

    @transactional
    def inner() -> None:
        db.session.add(Tombstone(uid=1, deleted_at=now()))
        after_commit(lambda: order.append("inner's consequence"))

    @transactional
    def outer(is_failing: bool) -> None:
        inner()
        order.append("inner has returned")
        if is_failing:
            raise ValueError
        after_commit(lambda: order.append("outer's consequence"))

    with pytest.raises(ValueError):
        outer(True)
    assert stored(1) is None
    assert order == ["inner has returned"]
    order.clear()
    outer(False)
    assert stored(1) is not None
    assert order == ["inner has returned", "inner's consequence", "outer's consequence"]


def test_a_consequence_sees_the_committed_change(app: Flask) -> None:
    seen: list[Any] = []

    def look() -> None:
        with app.app_context():
            seen.append(db.session.get(Tombstone, 1) is not None)

    @transactional
    def work() -> None:
        db.session.add(Tombstone(uid=1, deleted_at=now()))
        after_commit(look)

    work()
    assert seen == [True]


def test_a_consequence_that_fails_undoes_nothing_and_stops_no_other() -> None:
    followed: list[int] = []

    def fail() -> None:
        raise ConnectionError

    @transactional
    def work() -> str:
        db.session.add(Tombstone(uid=1, deleted_at=now()))
        after_commit(fail)
        after_commit(lambda: followed.append(1))
        return "done"

    assert work() == "done"
    assert followed == [1]
    assert stored(1) is not None


def test_after_commit_belongs_inside_a_service() -> None:
    with pytest.raises(RuntimeError):
        after_commit(lambda: None)


def test_parallel_services_on_one_row_lose_no_change(app: Flask) -> None:
    db.session.add(Phone(phone="+861", uid=0))
    db.session.commit()
    db.session.remove()

    @transactional
    def count_one() -> None:
        row = db.session.get_one(Phone, "+861", with_for_update=True, populate_existing=True)
        row.uid += 1

    def count_ten() -> None:
        with app.app_context():
            for _ in range(10):
                count_one()
            db.session.remove()

    at_once([count_ten] * 4)
    assert db.session.scalar(select(Phone.uid)) == 40


def test_a_reader_is_not_held_up_by_a_writer(app: Flask) -> None:
    db.session.add(Phone(phone="+861", uid=1))
    db.session.commit()
    db.session.remove()
    is_writing, may_end = threading.Event(), threading.Event()

    @transactional
    def write() -> None:
        db.session.execute(update(Phone).values(uid=2))
        is_writing.set()
        assert may_end.wait(20)

    def write_in_context() -> None:
        with app.app_context():
            write()
            db.session.remove()

    writer = threading.Thread(target=write_in_context)
    writer.start()
    try:
        assert is_writing.wait(20)
        assert db.session.scalar(select(Phone.uid)) == 1
        db.session.rollback()
    finally:
        may_end.set()
        writer.join()
    assert db.session.scalar(select(Phone.uid)) == 2


def test_an_outage_is_told_from_a_refusal() -> None:
    assert is_outage(conflict())
    assert is_outage(ConnectionError())
    assert not is_outage(IntegrityError("INSERT", {}, Exception("duplicate")))
    assert not is_outage(ProgrammingError("SELECT", {}, Exception("no such table")))
    assert not is_outage(ValueError())


def test_a_service_does_not_work_on_what_was_read_before_it(app: Flask) -> None:
    db.session.add(Phone(phone="+861", uid=1))
    db.session.commit()
    assert db.session.get_one(Phone, "+861").uid == 1

    def change_elsewhere() -> None:
        with app.app_context():
            db.session.execute(update(Phone).values(uid=10))
            db.session.commit()
            db.session.remove()

    at_once([change_elsewhere])

    @transactional
    def count_one() -> None:
        db.session.get_one(Phone, "+861").uid += 1

    count_one()
    assert db.session.scalar(select(Phone.uid)) == 11
