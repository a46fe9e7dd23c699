"""SQLite finds a few people of given ids by their ids, however many others there are."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from swiper.db.sqlite import OnSqlite
from swiper.db.statements import Statement
from swiper.extensions import Base
from swiper.social.queries import deck


@pytest.mark.parametrize("asked", [1, 25, 100], ids=lambda count: f"{count}-asked")
@pytest.mark.parametrize("others", [1, 25, 100], ids=lambda count: f"{count}-others")
@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        (deck.FITTING, "location=? AND uid=?"),
        (deck.FITTING_CARDS, "location=? AND uid=?"),
        (deck.SWIPED, "uid=? AND sid=?"),
        (deck.LIKERS_SINCE, "sid=? AND uid=?"),
        (deck.LEVELS, "uid=?"),
    ],
    ids=["fitting", "cards", "swiped", "likers", "levels"],
)
def test_given_people_are_found_by_their_ids(statement: Statement, columns: str, asked: int, others: int) -> None:
    form = OnSqlite(statement.sql, statement.columns)
    counts = [others if name == "likers" else asked for name in form.lists]
    sql = form._text(*counts)
    values = [1] * (len(form.scalars) + sum(counts))
    with closing(sqlite3.connect(":memory:")) as schema:
        for table in Base.metadata.sorted_tables:
            for made in (CreateTable(table), *map(CreateIndex, table.indexes)):
                schema.execute(str(made.compile(dialect=sqlite.dialect())))
        plan = [row[3] for row in schema.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert [step for step in plan if step.startswith(("SEARCH", "SCAN"))] == plan
    assert all(step.endswith(f"({columns})") for step in plan), plan
