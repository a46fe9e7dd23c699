"""On which connections statements run, and what becomes of these."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
from flask import Flask
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError

from swiper.db import transactions
from swiper.db.engines import engine_options
from swiper.db.mariadb import LimitedPyMySQL
from swiper.db.statements import FORMS, Statement, execute, on_single_node, read, write
from swiper.db.transactions import transactional
from swiper.extensions import db
from swiper.profiles.models import Nickname

CLAIM = Statement("INSERT INTO nicknames (folded, uid) VALUES (:folded, :uid) ON CONFLICT (folded) DO NOTHING")
OWNER = Statement("SELECT uid FROM nicknames WHERE folded = :folded", int)


@contextmanager
def noting_checkouts(app: Flask) -> Iterator[list[Any]]:
    """Each connection that is taken for single reads; empty where PostgreSQL's runner takes their place."""
    taken: list[Any] = []

    def note(connection: Any, *_: Any) -> None:
        taken.append(connection)

    engine = app.extensions["database"].reading
    if engine is None:
        yield taken
        return
    event.listen(engine, "checkout", note)
    yield taken
    event.remove(engine, "checkout", note)


def test_the_steps_of_a_portable_function_share_one_connection(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = (OWNER, {"folded": "ann"})

    @on_single_node(list)
    def in_steps(rows: list[Any]) -> list[Any]:
        return rows + read(owner) + read(owner, owner)

    monkeypatch.setattr(app.extensions["database"], "is_single_node", False)
    with app.app_context(), noting_checkouts(app) as taken:
        assert in_steps([]) == [[], [], []]
        assert len(taken) == (app.extensions["database"].reading is not None)
        assert read(owner) == [[]]
        assert len(taken) == 2 * (app.extensions["database"].reading is not None)


def test_another_greenlet_takes_a_connection_of_its_own(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask() -> list[Any]:
        with app.app_context():
            return read((OWNER, {"folded": "ann"}))

    @on_single_node(list)
    def in_steps(rows: list[Any]) -> list[Any]:
        return rows + ask() + gevent.spawn(ask).get()

    monkeypatch.setattr(app.extensions["database"], "is_single_node", False)
    with app.app_context(), noting_checkouts(app) as taken:
        assert in_steps([]) == [[], []]
        assert len(set(map(id, taken))) == 2 * (app.extensions["database"].reading is not None)


def test_a_connection_whose_greenlet_is_ended_is_used_by_nobody_else(app: Flask) -> None:
    """The answer to its statement may still arrive there."""

    class Ended:
        def run(self, _connection: Any, _values: Any, _comment: str = "") -> list[Any]:
            raise gevent.GreenletExit()

    endless = Statement("SELECT 1 FROM nicknames WHERE folded = :folded")

    @transactional
    def write_endless() -> None:
        execute(endless, {"folded": "ann"})

    left: list[Any] = []
    with app.app_context():
        engine = db.engine
        endless.forms[engine.dialect.name] = Ended()
        event.listen(engine, "invalidate", lambda *_: left.append(1))
        with pytest.raises(gevent.GreenletExit):
            write_endless()
        assert left == [1]
        assert write("claim", (CLAIM, {"folded": "ann", "uid": 1})) == [[]]


@pytest.mark.parametrize("is_transaction", [False, True])
def test_an_error_of_the_driver_is_raised_as_sqlalchemys_and_the_connection_stays(
    app: Flask, *, is_transaction: bool
) -> None:
    wrong = Statement("SELECT uid FROM missing_table WHERE folded = :folded", int)
    ask = transactional(read) if is_transaction else read
    with app.app_context():
        with pytest.raises(DBAPIError, match="missing_table") as raised:
            ask((wrong, {"folded": "ann"}))
        assert not raised.value.connection_invalidated
        assert ask((OWNER, {"folded": "ann"})) == [[]]


@pytest.mark.parametrize("is_transaction", [False, True])
def test_a_lost_connection_is_told_and_left(
    app: Flask, monkeypatch: pytest.MonkeyPatch, *, is_transaction: bool
) -> None:
    """Each driver tells by errors of its own that its connection is of no more use."""

    class Lost:
        def run(self, connection: Any, values: Any, comment: str = "") -> list[Any]:
            connection.close()
            return FORMS[name](OWNER.sql, OWNER.columns).run(connection, values)

    owner = Statement(OWNER.sql, *OWNER.columns)
    ask = transactional(read) if is_transaction else read
    monkeypatch.setattr(transactions, "FEW_ATTEMPTS", 1)
    with app.app_context():
        name = db.engine.dialect.name
        owner.forms[name] = Lost()
        if not is_transaction and app.extensions["database"].reading is None:
            # PostgreSQL's runner has tests of its own.
            return
        with pytest.raises(DBAPIError):
            ask((owner, {"folded": "ann"}))
        assert ask((OWNER, {"folded": "ann"})) == [[]]
        assert db.engine.pool.checkedout() == 0


def test_reads_that_are_asked_together_are_one_round_trip_on_mariadb(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, query = [], LimitedPyMySQL.query

    def note(connection: Any, sql: str, *args: Any) -> int:
        sent.append(sql)
        return int(query(connection, sql, *args))

    with app.app_context():
        write("claim", (CLAIM, {"folded": "a;b", "uid": 1}), (CLAIM, {"folded": "ann", "uid": 2}))
        read((OWNER, {"folded": "connects"}))
        monkeypatch.setattr(LimitedPyMySQL, "query", note)
        asked = ("a;b", "'; DELETE FROM nicknames; --", "ann")
        assert read(*[(OWNER, {"folded": folded}) for folded in asked]) == [[(1,)], [], [(2,)]]
        assert len(sent) == (db.engine.dialect.name == "mysql")


def test_an_error_of_the_second_read_leaves_nothing_behind(app: Flask) -> None:
    wrong = Statement("SELECT uid FROM missing_table WHERE folded = :folded", int)
    owner, values = (OWNER, {"folded": "ann"}), {"folded": "ann"}
    with app.app_context():
        write("claim", (CLAIM, values | {"uid": 1}))
        for _ in range(20):
            with pytest.raises(DBAPIError, match="missing_table"):
                read(owner, (wrong, values), owner)
            assert read(owner, owner) == [[(1,)], [(1,)]]


def test_connections_for_single_reads_write_nothing_on_mariadb(app: Flask) -> None:
    with app.app_context():
        if db.engine.dialect.name != "mysql":
            assert app.extensions["database"].reading is None or db.engine.dialect.name == "sqlite"
            return
        with pytest.raises(DBAPIError, match="READ ONLY"):
            read((CLAIM, {"folded": "ann", "uid": 1}))
        assert read((OWNER, {"folded": "ann"})) == [[]]


def test_no_rollback_follows_a_commit(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """On MariaDB it would be a round trip; the other drivers send none where no transaction is open."""
    sent = []
    for name in ("commit", "rollback"):
        end = getattr(LimitedPyMySQL, name)

        def note(connection: Any, name: str = name, end: Any = end) -> None:
            sent.append(name)
            end(connection)

        monkeypatch.setattr(LimitedPyMySQL, name, note)
    with app.app_context():
        write("claim", (CLAIM, {"folded": "ann", "uid": 1}))
        committed = list(sent)
        db.session.execute(text("SELECT 1 FROM nicknames"))
        db.session.remove()
        is_mariadb = db.engine.dialect.name == "mysql"
    assert committed == ["commit"] * is_mariadb
    assert sent == ["commit", "rollback"] * is_mariadb


def test_a_session_joins_the_transaction_of_statements(app: Flask) -> None:
    """What it writes is seen by them, and committed or undone with what they write."""

    class GivenUpError(Exception):
        pass

    @transactional
    def claim_both(*, is_given_up: bool) -> None:
        execute(CLAIM, {"folded": "ann", "uid": 1})
        db.session.add(Nickname(folded="bea", uid=2))
        assert read((OWNER, {"folded": "bea"}), (OWNER, {"folded": "ann"})) == [[(2,)], [(1,)]]
        assert db.session.get_one(Nickname, "ann").uid == 1
        if is_given_up:
            raise GivenUpError()

    with app.app_context():
        with pytest.raises(GivenUpError):
            claim_both(is_given_up=True)
        assert read((OWNER, {"folded": "ann"}), (OWNER, {"folded": "bea"})) == [[], []]
        claim_both(is_given_up=False)
        assert read((OWNER, {"folded": "ann"}), (OWNER, {"folded": "bea"})) == [[(1,)], [(2,)]]


def test_a_transaction_of_statements_alone_makes_no_session(app: Flask) -> None:
    with app.app_context():
        db.session.remove()
        write("claim", (CLAIM, {"folded": "ann", "uid": 1}))
        assert not db.has_session()


def test_a_transaction_gives_its_connection_back(app: Flask) -> None:
    with app.app_context():
        for number in range(100):
            write("claim", (CLAIM, {"folded": f"ann{number}", "uid": 1}))
            assert db.engine.pool.checkedout() == 0


def test_sqlite_takes_the_connection_that_was_used_last(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'pool.db'}"
    engine = create_engine(url, **engine_options(url, {}))
    first, last = engine.raw_connection(), engine.raw_connection()
    wanted = last.dbapi_connection
    first.close()
    last.close()
    again = engine.raw_connection()
    assert again.dbapi_connection is wanted
    again.close()
    engine.dispose()
