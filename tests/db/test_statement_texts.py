"""One text of ours, as each driver takes it."""

import pytest

from swiper.db.mariadb import OnPymysql
from swiper.db.servers import OnPsycopg
from swiper.db.sqlite import OnSqlite
from swiper.db.statements import Statement

LOOK = Statement("SELECT a::text FROM t\n  WHERE b = :b AND c IN :cs AND d <> :b", str)
ADD = Statement("INSERT INTO t (a, b, n) VALUES (:a, :b, 1) ON CONFLICT (a, b) DO NOTHING")
COUNT = Statement(
    "INSERT INTO t (a, n) VALUES (:a, :n) ON CONFLICT (a) DO UPDATE SET n = t.n + excluded.n RETURNING n", int
)


def sqlite_text(statement: Statement, *counts: int) -> str:
    return OnSqlite(statement.sql, statement.columns).text(*counts)


def pymysql_text(statement: Statement) -> str:
    return OnPymysql(statement.sql, statement.columns).text


def psycopg_text(statement: Statement) -> str:
    return OnPsycopg(statement.array_sql, statement.columns).text


def test_parameters_and_lists() -> None:
    assert LOOK.names == ("b", "cs")
    assert LOOK.numbered.sql == "SELECT a::text FROM t WHERE b = $1 AND c = ANY($2) AND d <> $1"
    assert psycopg_text(LOOK) == "SELECT a::text FROM t WHERE b = %(b)s AND c = ANY(%(cs)s) AND d <> %(b)s"
    assert pymysql_text(LOOK) == "SELECT a::text FROM t WHERE b = %(b)s AND c IN %(cs)s AND d <> %(b)s"
    assert sqlite_text(LOOK, 2) == "SELECT a::text FROM t WHERE b = ?1 AND c IN (?2, ?3) AND d <> ?1"
    assert sqlite_text(LOOK, 0).endswith("AND c IN (SELECT value FROM json_each(?2)) AND d <> ?1")


@pytest.mark.parametrize(
    ("statement", "mariadb"),
    [
        (ADD, "INSERT INTO t (a, b, n) VALUES (%(a)s, %(b)s, 1) ON DUPLICATE KEY UPDATE a = a"),
        (
            COUNT,
            "INSERT INTO t (a, n) VALUES (%(a)s, %(n)s) ON DUPLICATE KEY UPDATE n = t.n + VALUES(n) RETURNING n",
        ),
    ],
)
def test_upserts(statement: Statement, mariadb: str) -> None:
    assert pymysql_text(statement) == mariadb
    assert "ON CONFLICT" in sqlite_text(statement)
    assert "ON CONFLICT" in psycopg_text(statement)


def test_postgresql_may_have_a_text_of_its_own() -> None:
    own = Statement("SELECT 1 FROM t WHERE a IN :all", int, array_sql="SELECT 1 FROM unnest(:all::int8[]) AS a")
    assert own.numbered.sql == "SELECT 1 FROM unnest($1::int8[]) AS a"
    assert psycopg_text(own) == "SELECT 1 FROM unnest(%(all)s::int8[]) AS a"
    assert pymysql_text(own) == "SELECT 1 FROM t WHERE a IN %(all)s"
