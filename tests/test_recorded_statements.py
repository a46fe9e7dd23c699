"""Which statements of the application are recorded, and whose they are said to be; on SQLite alone."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, select

from swiper.db.statements import Statement, read
from swiper.db.transactions import transactional
from swiper.db.upsert import changed_a_row
from swiper.extensions import db
from swiper.profiles.models import User
from tests.bound_columns import Rule
from tests.recorded_statements import Broken


def issue(statement: Any, module: str = "swiper.feature", run: Callable[[Any], object] = db.session.execute) -> None:
    """Run `statement` in a function of the given module."""
    names: dict[str, Any] = {"__name__": module, "run": run, "statement": statement}
    exec("def sweep():\n    run(statement)", names)
    names["sweep"]()


def taken(broken_statements: list[Broken]) -> list[tuple[str, list[Rule]]]:
    """What has been recorded; the end of the test finds none of it any more."""
    found = [(broken.issuer, [breach.rule for breach in broken.breaches]) for broken in broken_statements]
    broken_statements.clear()
    return found


def test_a_broken_statement_is_recorded_with_its_issuer(context: None, broken_statements: list[Broken]) -> None:
    issue(select(User.id))
    issue(select(User.id).where(User.id.in_([1, 2, 3])).with_for_update())
    issue(select(User.id).where(User.id == 1).with_for_update())
    assert taken(broken_statements) == [("feature.sweep", [Rule.COLUMN]), ("feature.sweep", [Rule.LOCK])]


def test_a_sweep_that_says_why_it_looks_everywhere_is_not_recorded(
    context: None, broken_statements: list[Broken]
) -> None:
    issue(select(User.id).execution_options(everywhere="to see how it goes"))
    assert taken(broken_statements) == []


def test_what_a_test_issues_by_itself_is_not_recorded(context: None, broken_statements: list[Broken]) -> None:
    db.session.execute(select(User.id))
    issue(select(User.id), module="tests.feature")
    assert taken(broken_statements) == []


def test_a_statement_of_the_shared_part_belongs_to_whoever_uses_it(
    context: None, broken_statements: list[Broken]
) -> None:
    issue(delete(User).where(User.phone == ""), run=changed_a_row)
    assert taken(broken_statements) == [("feature.sweep", [Rule.COLUMN])]


def test_what_a_commit_writes_belongs_to_the_service(context: None, broken_statements: list[Broken]) -> None:
    db.session.add(User(id=1, phone="", nickname=""))
    db.session.commit()

    def move(uid: int) -> None:
        db.session.get_one(User, 1).id = uid

    move.__module__ = "swiper.feature"
    issue(2, "swiper.caller", run=transactional(move))
    ((issuer, broken),) = taken(broken_statements)
    assert issuer == "feature.test_what_a_commit_writes_belongs_to_the_service"
    assert broken == [Rule.MOVE]


def test_a_statement_on_a_drivers_cursor_is_recorded(context: None, broken_statements: list[Broken]) -> None:
    everyone = Statement("SELECT id FROM users WHERE id > :uid AND id IN :uids", int)
    values = {"uid": 1, "uids": [1, 2, 3]}
    issue((everyone, values), run=read)
    issue((Statement("SELECT id FROM users", int, everywhere="to see how it goes"), {}), run=read)
    issue((Statement("SELECT id FROM users", int), {}), run=read)
    assert taken(broken_statements) == [("feature.sweep", [Rule.COLUMN])]
