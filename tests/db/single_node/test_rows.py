"""Statements on single-node PostgreSQL are answered in their order and types."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.engine import make_url

from config.settings import Settings
from swiper.db.stock_postgres import StockPostgres
from swiper.fastpath.postgres_statements import BEGIN, COMMIT, Statement, Step, texts_of
from tests.db.single_node.runners import ADD, NOTHING, WORDS, MakeStatements, proxied, settled, statements_of


def test_several_statements_are_answered_in_their_order_and_types(
    statements: StockPostgres,
) -> None:
    for number in range(3):
        assert statements.ask((WORDS, ()), (ADD, (number, 40)), (NOTHING, ())) == [
            [(1, "one", None), (2, None, 3)],
            [(number + 40,)],
            [],
        ]


def test_the_same_statement_may_stand_several_times_in_one_call(statements: StockPostgres) -> None:
    for _ in range(2):
        assert statements.ask((ADD, (1, 2)), (WORDS, ()), (ADD, (3, 4)), (ADD, (None, 1)))[::2] == [[(3,)], [(7,)]]
        assert statements.ask((ADD, (None, 1))) == [[(None,)]]


def test_a_transaction_reads_what_is_committed_whatever_the_server_is_set_to(
    make_statements: MakeStatements, settings: Settings
) -> None:
    options = {"options": "-c default_transaction_isolation=serializable"}
    url = make_url(settings.database_url).update_query_dict(options).render_as_string(hide_password=False)
    level = Statement("SELECT current_setting('transaction_isolation')", str)
    statements = make_statements(database_url=url)
    for _ in range(2):
        assert statements.commit((level, ())) == [("read committed",)]
        assert statements.ask((BEGIN, ()), (level, ()), (COMMIT, ())) == [[], [("read committed",)], []]


def test_what_is_asked_together_is_one_round_trip(make_statements: MakeStatements, settings: Settings) -> None:
    with proxied(settings) as (proxy, through):
        statements = make_statements(database_url=through)
        steps: list[Step] = [(WORDS, ()), (ADD, (1, 2)), (NOTHING, ())]
        statements.ask(*steps)
        before = settled(proxy)
        statements.ask(*steps)
        assert settled(proxy) == before + 1
        statements.close_idle()


class Colour(StrEnum):
    RED = "röt"


MOMENT = datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "kind", "read"),
    [
        *((value, "int8", int) for value in (0, -1, 2**63 - 1, -(2**63))),
        *((value, "text", str) for value in ("", "小明 🙂", "'\"\\;--\n\t", "{1,2}", "NULL", "\\N")),
        *((value, "bool", "t".__eq__) for value in (True, False)),
        (Colour.RED, "text", Colour),
        (date(2000, 2, 29), "date", date.fromisoformat),
        (MOMENT, "timestamptz", datetime.fromisoformat),
        (MOMENT.astimezone(timezone(timedelta(hours=8))), "timestamptz", datetime.fromisoformat),
        *((value, "int8[]", lambda found: [int(part) for part in found.strip("{}").split(",") if part])
          for value in ([], [1], [3, -2, 2**63 - 1])),
        (None, "text", str),
    ],
)  # fmt: skip
def test_a_value_comes_back_as_it_went(value: Any, kind: str, read: Callable[[str], Any], app: Flask) -> None:
    assert statements_of(app).ask((Statement(f"SELECT $1::{kind}", read), (value,))) == [[(value,)]]


@pytest.mark.parametrize(
    "value", [1.5, b"x", {}, ("a",), object(), ["a"], [None]], ids=lambda value: type(value).__name__
)
def test_a_value_without_a_rule_is_refused_and_costs_no_place(value: Any, make_statements: MakeStatements) -> None:
    with pytest.raises(TypeError):
        texts_of([value])
    statements = make_statements(1)
    with pytest.raises(TypeError):
        statements.ask((ADD, (1, 2)), (ADD, (1, value)))
    assert statements.ask((ADD, (1, 2))) == [[(3,)]]
