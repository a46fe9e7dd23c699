"""Backfills: names are keyed anew while the service runs, whoever is interrupted, and a migration may wait for it."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from flask import Flask
from flask.testing import FlaskCliRunner
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete, select, update
from werkzeug.test import Client

from swiper.admin.exporter import metrics_app
from swiper.backfills import known_backfills, services
from swiper.backfills.models import BackfillRun
from swiper.backfills.tasks import run_backfills
from swiper.clock import now
from swiper.db.online_ddl import require_backfill
from swiper.db.upgrades import UpgradeError
from swiper.extensions import db
from swiper.profiles import folded_names
from swiper.profiles.folded_names import FOLD_NICKNAMES
from swiper.profiles.models import Nickname, User
from swiper.profiles.nicknames import fold_nickname, former_fold
from tests.factories import People, Person

NAME = FOLD_NICKNAMES.name
# A name, its key before revision 0005, and what it is now.
NAMES = [
    ("Tom  Lee", "tom  lee", "tom lee"),
    ("王小二\U000e0100", "王小二\U000e0100", "王小二"),
    ("Alice", "alice", "alice"),
    ("Mary   Ann", "mary   ann", "mary ann"),
]


def give(person: Person, nickname: str, key: str) -> None:
    """Let somebody have a name, as an earlier release has stored it."""
    with db.engine.begin() as connection:
        connection.execute(delete(Nickname).where(Nickname.uid == person.id))
        connection.execute(update(User).where(User.id == person.id).values(nickname=nickname))
        connection.execute(Nickname.__table__.insert().values(folded=key, uid=person.id))


def keys() -> dict[int, str]:
    """The key of each owner's name."""
    with db.engine.connect() as connection:
        return {uid: folded for folded, uid in connection.execute(select(Nickname.folded, Nickname.uid))}


def stored() -> BackfillRun:
    db.session.remove()
    return db.session.get_one(BackfillRun, NAME)


@pytest.fixture
def named(people: People, context: None, monkeypatch: pytest.MonkeyPatch) -> list[Person]:
    """People with names of an earlier release; a batch has two."""
    monkeypatch.setattr(folded_names, "BATCH_NAMES", 2)
    owners = [people.add() for _ in NAMES]
    for owner, (nickname, former, _) in zip(owners, NAMES, strict=True):
        assert former_fold(nickname) == former
        give(owner, nickname, former)
    return owners


def expected(owners: list[Person]) -> dict[int, str]:
    return {owner.id: folded for owner, (_, _, folded) in zip(owners, NAMES, strict=True)}


def test_all_rows_are_filled_and_nothing_of_a_person_stays_in_the_table(named: list[Person]) -> None:
    before = services.list_progress()
    assert [(each.name, each.rows_left, each.finished_at) for each in before] == [(NAME, None, None)]
    told = list(services.batches_of(NAME))
    assert keys() == expected(named)
    # A row with a new key may be looked at once more.
    assert [each.rows_left for each in told] == [2, *[0] * (len(told) - 1)]
    assert told[-1].finished_at is not None
    assert (stored().last_key, stored().rows_left, stored().rows_changed) == ("", 0, 3)
    assert db.session.scalars(select(User.nickname).where(User.id == named[0].id)).one() == "Tom  Lee"


def test_a_finished_backfill_is_left_alone_until_it_is_to_begin_again(named: list[Person]) -> None:
    list(services.batches_of(NAME))
    give(named[0], "Tom  Lee", "tom  lee")
    (only,) = services.batches_of(NAME)
    assert only.rows_changed == 3
    assert keys()[named[0].id] == "tom  lee"
    services.begin_again(NAME)
    list(services.batches_of(NAME))
    assert keys() == expected(named)


def test_what_was_interrupted_goes_on_behind_the_last_batch(
    named: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "TURN_SECONDS", -1.0)
    seen = []
    while True:
        services.work_on(NAME)
        seen.append(stored().last_key)
        if stored().finished_at is not None:
            break
    *keys_of_batches, at_the_end = seen
    assert len(keys_of_batches) >= len(NAMES) / 2
    assert "" not in keys_of_batches
    assert at_the_end == ""
    assert keys() == expected(named)


def test_a_batch_that_fails_leaves_nothing(named: list[Person], monkeypatch: pytest.MonkeyPatch) -> None:
    delete_nickname, calls = folded_names.delete_nickname, 0

    def fail(uid: int, *folded: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ValueError("broken off")
        delete_nickname(uid, *folded)

    monkeypatch.setattr(folded_names, "BATCH_NAMES", 10)
    monkeypatch.setattr(folded_names, "delete_nickname", fail)
    before = keys()
    with pytest.raises(ValueError, match="broken off"):
        list(services.batches_of(NAME))
    assert keys() == before
    assert (stored().last_key, stored().rows_left, stored().rows_changed) == ("", len(NAMES), 0)
    list(services.batches_of(NAME))
    assert keys() == expected(named)


def test_two_workers_at_once_do_each_batch_once(app: Flask, named: list[Person]) -> None:
    begin, failures = threading.Barrier(2), []

    def work() -> None:
        try:
            with app.app_context():
                begin.wait()
                list(services.batches_of(NAME))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert keys() == expected(named)
    assert stored().rows_changed == 3


def test_the_task_waits_for_the_end_of_older_workers_and_then_fills_all(named: list[Person]) -> None:
    run_backfills()
    run_backfills()
    assert stored().finished_at is None
    assert stored().rows_left == len(NAMES)
    assert keys() != expected(named)
    with db.engine.begin() as connection:
        ago = now() - timedelta(seconds=services.SETTLE_SECONDS)
        connection.execute(update(BackfillRun).values(added_at=ago))
    run_backfills()
    assert stored().finished_at is not None
    assert keys() == expected(named)


def test_a_backfill_whose_rows_cannot_be_counted_does_not_hold_up_the_others(
    app: Flask, named: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_last_key: str) -> int:
        raise OSError("no answer")

    broken = FOLD_NICKNAMES._replace(name="broken", count_left=fail)
    monkeypatch.setitem(app.extensions, "backfills", {"broken": broken, NAME: FOLD_NICKNAMES})
    for _ in range(2):
        run_backfills()
        with db.engine.begin() as connection:
            ago = now() - timedelta(seconds=services.SETTLE_SECONDS)
            connection.execute(update(BackfillRun).values(added_at=ago))
    run_backfills()
    assert keys() == expected(named)


# --- names ---


def test_of_two_who_share_a_name_one_gets_it_and_both_keep_what_they_are_called(people: People, context: None) -> None:
    one, other = people.add(), people.add()
    give(one, "Alice", "alice")
    give(other, "Alice\ufff0", "alice\ufff0")
    list(services.batches_of(NAME))
    assert keys() == {one.id: "alice", other.id: "alice\ufff0"}


def test_a_name_that_nobody_has_any_more_becomes_free(people: People, context: None) -> None:
    gone, renamed = people.add(), people.add()
    give(gone, "Tom  Lee", "tom  lee")
    give(renamed, "Ann", "mary  ann")
    with db.engine.begin() as connection:
        connection.execute(update(Nickname).where(Nickname.uid == gone.id).values(uid=1))
    list(services.batches_of(NAME))
    assert keys() == {}


def rename(person: Person) -> None:
    assert person.post("/api/user/profile/modify", nickname="Somebody else").status_code == 200


def leave(person: Person) -> None:
    assert person.delete_account().status_code == 200


@pytest.mark.parametrize("change", [rename, leave])
def test_a_name_with_a_former_key_is_given_up_like_any_other(
    people: People, context: None, change: Callable[[Person], None]
) -> None:
    person = people.add()
    give(person, "Tom  Lee", "tom  lee")
    change(person)
    assert {"tom lee", "tom  lee"}.isdisjoint(keys().values())


@pytest.mark.parametrize("nickname", ["Tom  Lee", "王小二\U000e0100", "\u200dx\u200d", "İstanbul", "ﬁ  x", "ß"])
def test_a_key_of_an_earlier_release_is_folded_as_its_name_is(nickname: str) -> None:
    assert fold_nickname(former_fold(nickname)) == fold_nickname(nickname)


# --- the guard of a migration ---


def guard() -> None:
    """What a migration calls that takes away what the rows had before."""
    with db.engine.connect() as connection, Operations.context(MigrationContext.configure(connection)):
        require_backfill(NAME, "nicknames")


def test_a_migration_refuses_while_its_backfill_has_not_finished(named: list[Person]) -> None:
    with pytest.raises(UpgradeError, match=f"run `flask backfill {NAME}`"):
        guard()
    next(services.batches_of(NAME))
    with pytest.raises(UpgradeError):
        guard()
    list(services.batches_of(NAME))
    guard()


@pytest.mark.usefixtures("context")
def test_a_migration_of_an_empty_table_needs_no_backfill() -> None:
    guard()


# --- how much is left ---


def test_the_command_tells_how_far_each_is_and_runs_it_to_its_end(named: list[Person], runner: FlaskCliRunner) -> None:
    def told(*arguments: str) -> Any:
        return runner.invoke(args=["backfill", *arguments]).output

    assert told("--status") == f"{NAME}: not begun, 0 rows changed\n"
    services.note_backfill(NAME)
    assert told("--status", NAME) == f"{NAME}: about 4 rows left, 0 rows changed\n"
    assert told().splitlines()[-1].startswith(f"{NAME}: finished at ")
    assert keys() == expected(named)
    give(named[0], "Tom  Lee", "tom  lee")
    assert "finished" in told(NAME)
    assert keys() != expected(named)
    assert told("--again", NAME).endswith(", 4 rows changed\n")
    assert keys() == expected(named)


@pytest.mark.parametrize("arguments", [("nothing",), ("--again",), ("--again", "--status", NAME)])
def test_the_command_refuses_what_it_does_not_know(runner: FlaskCliRunner, arguments: tuple[str, ...]) -> None:
    result = runner.invoke(args=["backfill", *arguments])
    assert result.exit_code == 2
    assert "Error: " in result.output


def test_metrics_tell_how_much_is_left(app: Flask, named: list[Person]) -> None:
    def left() -> dict[str, float]:
        text = Client(metrics_app(app)).get("/metrics").text
        families = {family.name: family for family in text_string_to_metric_families(text)}
        samples = families["swiper_backfill_rows_left"].samples
        return {sample.labels["backfill"]: sample.value for sample in samples}

    assert left() == {}
    next(services.batches_of(NAME))
    assert left() == {NAME: 2}
    list(services.batches_of(NAME))
    assert left() == dict.fromkeys(known_backfills(), 0)
