"""The request id in a comment behind each statement, whichever way the statement takes; none unless it is asked for."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, text

from swiper.db.comments import request_comment, with_comment, without_comment
from swiper.db.statements import Statement, execute, read, write
from swiper.db.transactions import transactional
from swiper.extensions import db
from swiper.logs import request_id_var

# A statement that returns its own text, by dialect; SQLite tells the texts to a callback.
OWN_TEXT = {
    "postgresql": "SELECT current_query()",
    "mysql": "SELECT info FROM information_schema.processlist WHERE id = connection_id()",
    "sqlite": "SELECT 'own text'",
}
STATEMENTS = {dialect: Statement(sql, str) for dialect, sql in OWN_TEXT.items()}
ID = "0123abcd.example"


@pytest.fixture
def texts(make_app: Callable[..., Flask], request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """Runs a statement in the way of that name, in a request with an id; returns the text as it was sent."""
    app = make_app(sql_comments=request.param)
    sent: list[str] = []
    with app.app_context():
        for engine in {db.engine, app.extensions["database"].reading} - {None}:
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", lambda connection, _: connection.set_trace_callback(sent.append))

        def run(way: str) -> str:
            token = request_id_var.set(ID)
            try:
                told = WAYS[way](db.engine.dialect.name)
            finally:
                request_id_var.reset(token)
            if db.engine.dialect.name != "sqlite":
                return told
            return next(each for each in reversed(sent) if "own text" in each)

        yield run


@transactional
def in_transaction(dialect: str) -> str:
    ((found,),) = execute(STATEMENTS[dialect], {})
    return str(found)


def alone(dialect: str) -> str:
    ((found,),) = read((STATEMENTS[dialect], {}))[0]
    return str(found)


def several(dialect: str) -> str:
    (((first,),), ((second,),)) = read((STATEMENTS[dialect], {}), (STATEMENTS[dialect], {}))
    assert ID not in first or ID in second
    return str(first)


def written(dialect: str) -> str:
    ((found,),) = write("own text", (STATEMENTS[dialect], {}))[0]
    return str(found)


def by_sqlalchemy(dialect: str) -> str:
    return str(db.session.scalar(text(OWN_TEXT[dialect])))


WAYS: dict[str, Callable[[str], Any]] = {
    each.__name__: each for each in (in_transaction, alone, several, written, by_sqlalchemy)
}


@pytest.mark.parametrize("texts", [True], indirect=True)
@pytest.mark.parametrize("way", WAYS)
def test_each_statement_names_the_request(texts: Callable[[str], str], way: str) -> None:
    assert f" /*request_id='{ID}'*/" in texts(way)


@pytest.mark.parametrize("texts", [False], indirect=True)
@pytest.mark.parametrize("way", WAYS)
def test_none_does_unless_it_is_asked_for(texts: Callable[[str], str], way: str) -> None:
    assert ID not in texts(way)


def test_rows_that_are_inserted_together_are_sent_together(make_app: Callable[..., Flask]) -> None:
    app, sent = make_app(sql_comments=True), []
    with app.app_context(), db.engine.connect() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE scratch (number INTEGER)"))
        event.listen(db.engine, "after_cursor_execute", lambda *event: sent.append(event[2]))
        token = request_id_var.set(ID)
        insert = text("INSERT INTO scratch (number) VALUES (:number)")
        connection.execute(insert, [{"number": number} for number in range(5)])
        assert connection.scalar(text("SELECT count(*) FROM scratch")) == 5
        request_id_var.reset(token)
        connection.execute(text("DROP TABLE scratch"))
    assert ID not in sent[0]
    assert ID in sent[1]


@pytest.mark.parametrize("wrong", ["'*/; DROP TABLE users; --", "100%s", "a\nb", "é"])
def test_a_value_ends_neither_the_comment_nor_the_text(wrong: str) -> None:
    token = request_id_var.set(wrong)
    comment = request_comment()
    request_id_var.reset(token)
    inner = comment.removeprefix(" /*request_id='").removesuffix("'*/")
    assert len(inner) == len(wrong)
    assert not set(inner) & set("'*/;% \n\\é")
    assert without_comment(f"SELECT 1{comment}") == "SELECT 1"


def test_there_is_one_comment_and_none_outside_of_a_request() -> None:
    token = request_id_var.set("-")
    assert with_comment("SELECT 1") == "SELECT 1"
    request_id_var.set(ID)
    assert with_comment(with_comment("SELECT 1")) == f"SELECT 1 /*request_id='{ID}'*/"
    request_id_var.reset(token)
