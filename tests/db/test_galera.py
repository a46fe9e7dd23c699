"""Connections ask the nodes of a Galera cluster to wait for each other, and `flask check` sees where that is lost."""

from types import SimpleNamespace
from typing import Any

import pytest
from pymysql.connections import Connection as PyMySQLConnection
from pymysql.err import OperationalError
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from swiper.db.checks import find_cluster_fault
from swiper.db.mariadb import SYNC_WAIT, UNKNOWN_VARIABLE, WAIT_FOR_NODES, LimitedPyMySQL
from swiper.db.servers import prepare_server
from tests import services


@pytest.mark.services
@pytest.mark.parametrize(("may_lag", "found"), [(False, SYNC_WAIT), (True, 0)])
def test_a_connection_waits_for_what_other_nodes_have_committed_unless_it_may_lag(may_lag: bool, found: int) -> None:
    engine = create_engine(services.database_url("mariadb"), poolclass=NullPool)
    prepare_server(engine, 5.0, may_lag=may_lag)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT @@session.wsrep_sync_wait")) == found


@pytest.mark.services
def test_a_server_without_a_cluster_has_no_fault() -> None:
    with create_engine(services.database_url("mariadb"), poolclass=NullPool).connect() as connection:
        assert find_cluster_fault(connection) is None


def connect(monkeypatch: pytest.MonkeyPatch, version: str, number: int) -> list[str]:
    """What a connection to such a server asks of it, which is refused with an error of this number."""
    asked: list[str] = []

    def query(_connection: Any, sql: str, _unbuffered: bool = False) -> int:
        asked.append(sql)
        raise OperationalError(number, "refused")

    monkeypatch.setattr(PyMySQLConnection, "connect", lambda *_: None)
    monkeypatch.setattr(PyMySQLConnection, "query", query)
    connection = LimitedPyMySQL(defer_connect=True, limit_seconds=1)
    connection.server_version = version
    connection.connect()
    return asked


def test_a_server_that_knows_no_cluster_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connect(monkeypatch, "5.5.5-10.11.19-MariaDB", UNKNOWN_VARIABLE) == [WAIT_FOR_NODES]
    assert connect(monkeypatch, "9.7.0", UNKNOWN_VARIABLE) == []


def test_another_refusal_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OperationalError):
        connect(monkeypatch, "5.5.5-10.11.19-MariaDB", 1047)


@pytest.mark.parametrize(
    ("dialect", "variables", "is_fault"),
    [
        ("sqlite", {}, False),
        ("mysql", {}, False),
        ("mysql", {"wsrep_on": "OFF", "wsrep_sync_wait": "0"}, False),
        ("mysql", {"wsrep_on": "ON", "wsrep_sync_wait": str(SYNC_WAIT)}, False),
        ("mysql", {"wsrep_on": "ON", "wsrep_sync_wait": "0"}, True),
    ],
)
def test_a_cluster_whose_nodes_do_not_wait_is_told(dialect: str, variables: dict[str, str], is_fault: bool) -> None:
    connection: Any = SimpleNamespace(dialect=SimpleNamespace(name=dialect), execute=lambda _: variables.items())
    fault = find_cluster_fault(connection)
    assert (fault is not None) is is_fault
    assert not is_fault or str(fault).startswith("wsrep_sync_wait is 0 instead of 7")
