"""A database that takes no writes for a while, as after a failover: 1011, one line in the log, then new connections."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from celery.exceptions import Ignore
from flask import Flask
from psycopg import errors
from pymysql.err import OperationalError as MariaDBError
from sqlalchemy import event

from swiper.auth.tasks import sweep_codes
from swiper.extensions import db
from swiper.http.responses import is_outage
from swiper.outages import NO_ANSWER, is_database_outage, is_server_moved
from tests.factories import People, Person, client_holding, session_id_of

# Each is said by the server for the connection alone, and for as long as it lives.
READ_ONLY = {
    "postgresql": "SET SESSION default_transaction_read_only = on",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = 1",
}
MODIFY = "/api/user/profile/modify"


class OldPrimary:
    """While it is `old` each new connection of an application leads to a server that takes no writes."""

    def __init__(self, app: Flask) -> None:
        self.app, self.is_old = app, False
        with app.app_context():
            self.statement = READ_ONLY[db.engine.dialect.name]
            event.listen(db.engine, "connect", self.note)
            database = app.extensions["database"]
            kept = database.reading or database.runner.engine
            event.listen(kept, "connect", self.note)

    def note(self, connection: Any, _record: Any) -> None:
        if not self.is_old:
            return
        cursor = connection.cursor()
        cursor.execute(self.statement)
        if hasattr(connection, "commit"):
            connection.commit()
        cursor.close()

    def begin(self) -> None:
        self.is_old = True
        with self.app.app_context():
            db.engine.dispose()


@pytest.fixture
def old(app: Flask, make_app: Callable[..., Flask]) -> OldPrimary:
    return OldPrimary(make_app())


@pytest.fixture
def person(people: People) -> Person:
    return people.add(nickname="before")


CHANGES: list[Callable[[Any, Person], Any]] = [
    lambda client, other: client.post(MODIFY, json={"bio": "after"}),
    lambda client, other: client.post("/api/social/like", json={"sid": str(other.id)}),
    lambda client, other: client.post("/api/social/dislike", json={"sid": str(other.id)}),
    lambda client, other: client.post("/api/vip/orders", json={"level": 1, "months": 1}),
    lambda client, other: client.post("/api/user/verify", json={"phonenum": "13912345678"}),
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_a_change_is_refused_in_one_line_and_passes_on_a_new_connection(
    old: OldPrimary, people: People, person: Person, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    change, other = CHANGES[number], people.woman()
    client = client_holding(old.app, session_id_of(person.client))
    old.begin()
    with caplog.at_level(logging.WARNING):
        answer = change(client, other)
    assert (answer.status_code, answer.json["code"]) == (503, 1011)
    told = [record for record in caplog.records if record.name == "swiper.http.responses"]
    assert [record.levelname for record in told] == ["WARNING"]
    assert not any(record.exc_info for record in caplog.records)
    # The connections that were made meanwhile would refuse for ever.
    old.is_old = False
    # A code that was refused may have been counted.
    assert change(client, other).json["code"] in {0, 1006}


def test_a_task_is_left_for_the_sweep_in_one_line(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> None:
        raise ConnectionError

    task = app.extensions["celery"].tasks[sweep_codes.name]
    monkeypatch.setattr(task, "run", refuse)
    task.push_request(called_directly=False)
    try:
        with pytest.raises(Ignore):
            task()
    finally:
        task.pop_request()
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("WARNING", None)]


MOVED = [
    errors.ReadOnlySqlTransaction(),
    errors.AdminShutdown(),
    errors.CrashShutdown(),
    errors.CannotConnectNow(),
    errors.ConnectionFailure(),
    *(MariaDBError(number, "") for number in (1047, 1053, 1290, 1792, 1836, 2006, 2013, 2055)),
]
SHORT = [errors.TooManyConnections(), errors.DiskFull(), *(MariaDBError(number, "") for number in (1021, 1040, 1205))]
# A server that says nothing may be the right one: those who wait for it go on waiting.
SHORT.append(MariaDBError(2013, NO_ANSWER))
FAULTS = [errors.UndefinedTable(), errors.UniqueViolation(), MariaDBError(1146, ""), ValueError("25006")]


@pytest.mark.parametrize("error", MOVED, ids=repr)
def test_a_server_that_takes_no_work_is_left(error: Exception) -> None:
    assert is_server_moved(error)
    assert is_database_outage(error)


@pytest.mark.parametrize("error", SHORT, ids=repr)
def test_a_server_that_is_short_of_something_is_not_left(error: Exception) -> None:
    assert is_database_outage(error)
    assert not is_server_moved(error)


@pytest.mark.parametrize("error", FAULTS, ids=repr)
def test_a_fault_is_no_outage(error: Exception) -> None:
    assert not is_database_outage(error)
    assert not is_outage(error)
