"""What single-node PostgreSQL refuses, and connections that are lost."""

import threading
import traceback

import pytest
from flask import Flask
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from config.settings import Settings
from deploy.processes import wait_until
from swiper.db.stock_postgres import StockPostgres
from swiper.fastpath.postgres_statements import Statement
from swiper.http.responses import is_outage
from tests.db.single_node.runners import (
    ADD,
    NAP,
    PID,
    PUT,
    SLEEP,
    STORED,
    MakeStatements,
    execute,
    is_there,
    pid_of,
    terminate,
)
from tests.factories import at_once
from tests.processes import free_port


@pytest.mark.usefixtures("scratch")
def test_an_error_among_several_statements_undoes_all_and_quotes_no_row(app: Flask, statements: StockPostgres) -> None:
    pid = pid_of(statements)
    # Not spelled out where the statements are sent: a traceback quotes the source.
    rows = [(1, "secret"), (424242, None), (3, "secret")]
    with pytest.raises(DBAPIError) as refused:
        statements.ask(*[(PUT, row) for row in rows])
    assert refused.value.orig.sqlstate == "23502"
    assert not refused.value.connection_invalidated
    told = "".join(traceback.format_exception(refused.value))
    assert "null value in column" in told
    assert "secret" not in told
    assert "424242" not in told
    wait_until(lambda: not is_there(app, pid), 20, "the connection stays open")
    assert statements.ask((STORED, ())) == [[]]


@pytest.mark.usefixtures("scratch")
def test_a_key_that_is_there_is_an_integrity_error(statements: StockPostgres) -> None:
    statements.ask((PUT, (1, "one")))
    with pytest.raises(IntegrityError) as refused:
        statements.ask((PUT, (1, "other")))
    assert refused.value.orig.sqlstate == "23505"
    assert statements.ask((STORED, ())) == [[(1, "one")]]


@pytest.mark.usefixtures("scratch")
def test_what_only_the_commit_refuses_is_told(app: Flask, statements: StockPostgres) -> None:
    execute(app, "ALTER TABLE scratch ADD CONSTRAINT later UNIQUE (word) DEFERRABLE INITIALLY DEFERRED")
    statements.ask((PUT, (1, "one")))
    with pytest.raises(IntegrityError) as refused:
        statements.ask((PUT, (2, "one")))
    assert refused.value.orig.sqlstate == "23505"
    assert statements.ask((STORED, ())) == [[(1, "one")]]


@pytest.mark.usefixtures("scratch")
def test_a_statement_that_cannot_be_prepared_is_refused_like_any_other(statements: StockPostgres) -> None:
    with pytest.raises(DBAPIError) as refused:
        statements.ask((PUT, (1, "one")), (Statement("SELECT nothing FROM nowhere", int), ()), (ADD, (1, 2)))
    assert refused.value.orig.sqlstate == "42P01"
    assert statements.ask((STORED, ()), (ADD, (1, 2))) == [[], [(3,)]]


def test_an_idle_connection_that_the_server_has_closed_is_replaced(app: Flask, statements: StockPostgres) -> None:
    pid = pid_of(statements)
    terminate(app, pid)
    wait_until(lambda: not is_there(app, pid), 20, "it does not end")
    assert pid_of(statements) != pid


def test_a_connection_that_is_lost_while_it_waits_for_an_answer_is_told(app: Flask, statements: StockPostgres) -> None:
    pid = pid_of(statements)
    lost: list[DBAPIError] = []

    def ask() -> None:
        with pytest.raises(DBAPIError) as raised:
            statements.ask((ADD, (1, 2)), (SLEEP, ()), (ADD, (1, 2)))
        lost.append(raised.value)

    asking = threading.Thread(target=ask)
    asking.start()
    is_asleep = "SELECT count(*) FROM pg_stat_activity WHERE pid = :pid AND wait_event = 'PgSleep'"
    wait_until(lambda: execute(app, is_asleep, pid=pid), 20, "nothing is asked")
    terminate(app, pid)
    asking.join(20)
    assert lost[0].connection_invalidated
    assert is_outage(lost[0])
    assert statements.ask((ADD, (1, 2))) == [[(3,)]]


def test_a_database_that_is_not_there_is_told_as_an_outage_and_takes_no_place(
    make_statements: MakeStatements, settings: Settings
) -> None:
    url = make_url(settings.database_url).set(host="127.0.0.1", port=free_port())
    statements = make_statements(database_url=url.render_as_string(hide_password=False))
    for _ in range(5):
        with pytest.raises(OperationalError) as away:
            statements.ask((PID, ()))
        assert is_outage(away.value)


@pytest.mark.usefixtures("scratch")
def test_nobody_is_told_that_the_tables_have_changed(app: Flask, make_statements: MakeStatements) -> None:
    """Nor is anything done twice: the statement before the stale one is undone with it."""
    statements = make_statements(4)

    def read_often() -> None:
        # The driver prepares what it has met several times.
        for _ in range(10):
            assert statements.ask((STORED, ()), (NAP, ()))[0] == []

    at_once([read_often] * 4)
    execute(app, "ALTER TABLE scratch ADD COLUMN more int8")
    assert statements.ask((PUT, (1, "one")), (STORED, ())) == [[], [(1, "one")]]
