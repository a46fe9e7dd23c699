"""PostgreSQL's short way: many statements in one round trip, a small pool, and errors in SQLAlchemy's words.

Collected where the tests run on PostgreSQL alone (`tests/conftest.py`).
"""

import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from psycopg.pq import TransactionStatus
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from config.settings import Settings
from deploy.processes import wait_until
from swiper.auth import accounts
from swiper.auth.accounts import delete_account
from swiper.auth.profiles import age_on
from swiper.db.upsert import bulk_insert
from swiper.errors import AlreadySwipedError, LoginError, NotFoundError, RateLimitedError
from swiper.extensions import db
from swiper.fastpath.quick_postgres import BEGIN, COMMIT, QuickConnection, QuickLane, Statement, Step, texts_of
from swiper.http.responses import is_outage
from swiper.social import quick
from swiper.social.models import Swipe, SwipeKind
from swiper.social.swipes import Outcome, swipe
from swiper.social.walks import unseen
from swiper.vip.levels import standing_of
from tests.factories import People, at_once
from tests.http.test_bad_input import state_of
from tests.processes import Program, environment_of, free_port
from tests.proxy import FreezableProxy
from tests.test_outages import whole_swipe

PID = Statement("SELECT pg_backend_pid()", int)
ADD = Statement("SELECT $1::int8 + $2::int8", int)
WORDS = Statement("SELECT * FROM (VALUES (1, 'one', NULL::int8), (2, NULL, 3)) AS words ORDER BY 1", int, str, int)
NOTHING = Statement("SELECT 1 WHERE false", int)
PREPARED = Statement("SELECT count(*) FROM pg_prepared_statements", int)
SLEEP = Statement("SELECT pg_sleep(60)::text", str)
PUT = Statement("INSERT INTO scratch (id, word) VALUES ($1::int8, $2::text)")
STORED = Statement("SELECT * FROM scratch ORDER BY id", int, str)
WAIT_SECONDS = 30.0

MakeLane = Callable[..., QuickLane]


def lane_of(app: Flask) -> QuickLane:
    lane: QuickLane = app.extensions["quick_lane"]
    return lane


@pytest.fixture
def make_lane(app: Flask, make_app: Callable[..., Flask]) -> MakeLane:
    """Builds applications with a lane of their own, and returns the lane."""

    def make(size: int = 3, wait_seconds: float = WAIT_SECONDS, **changes: Any) -> QuickLane:
        options = {"database_pool_size": size, "database_pool_timeout_seconds": wait_seconds}
        return lane_of(make_app(**options | changes))

    return make


@pytest.fixture(params=[False, True], ids=["prepared", "behind pgbouncer"])
def lane(request: pytest.FixtureRequest, make_lane: MakeLane) -> QuickLane:
    """One that prepares its statements, and one that may not."""
    return make_lane(database_behind_pgbouncer=request.param)


@pytest.fixture
def scratch(app: Flask) -> Iterator[None]:
    """A table that the tests may do anything with."""
    execute(app, "CREATE TABLE scratch (id int8 PRIMARY KEY, word text NOT NULL)")
    yield
    execute(app, "DROP TABLE scratch")


def execute(app: Flask, statement: str, **values: Any) -> Any:
    """Run a statement on a connection of SQLAlchemy's; the first column of its first row."""
    with app.app_context(), db.engine.begin() as connection:
        result = connection.execute(text(statement), values)
        return result.scalar() if result.returns_rows else None


def pid_of(lane: QuickLane) -> int:
    """The server's process behind the connection that was used last."""
    pid: int = lane.ask((PID, ()))[0][0][0]
    return pid


def is_there(app: Flask, pid: int) -> bool:
    return bool(execute(app, "SELECT count(*) FROM pg_stat_activity WHERE pid = :pid", pid=pid))


def terminate(app: Flask, pid: int) -> None:
    assert execute(app, "SELECT pg_terminate_backend(:pid)", pid=pid)


def hold(lane: QuickLane, count: int) -> list[QuickConnection]:
    return [lane.take() for _ in range(count)]


# --- statements and rows ---


def test_several_statements_are_answered_in_their_order_with_the_types_of_their_columns(lane: QuickLane) -> None:
    for number in range(3):
        assert lane.ask((WORDS, ()), (ADD, (number, 40)), (NOTHING, ())) == [
            [(1, "one", None), (2, None, 3)],
            [(number + 40,)],
            [],
        ]
    assert (lane.count, len(lane.idle)) == (1, 1)


def test_the_same_statement_may_stand_several_times_in_one_call(lane: QuickLane) -> None:
    for _ in range(2):
        assert lane.ask((ADD, (1, 2)), (WORDS, ()), (ADD, (3, 4)), (ADD, (None, 1)))[::2] == [[(3,)], [(7,)]]
        assert lane.ask((ADD, (None, 1))) == [[(None,)]]


def test_statements_are_prepared_once_on_a_connection_and_never_behind_pgbouncer(make_lane: MakeLane) -> None:
    for is_behind, count in ((False, 2), (True, 0)):
        lane = make_lane(database_behind_pgbouncer=is_behind)
        for _ in range(3):
            assert lane.ask((ADD, (1, 2)), (PREPARED, ())) == [[(3,)], [(count,)]]


def test_a_transaction_reads_what_is_committed_whatever_the_server_is_set_to(
    make_lane: MakeLane, settings: Settings
) -> None:
    options = {"options": "-c default_transaction_isolation=serializable"}
    url = make_url(settings.database_url).update_query_dict(options).render_as_string(hide_password=False)
    level = Statement("SELECT current_setting('transaction_isolation')", str)
    lane = make_lane(database_url=url)
    for _ in range(2):
        assert lane.ask((BEGIN, ()), (level, ()), (COMMIT, ())) == [[], [("read committed",)], []]


@contextmanager
def proxied(settings: Settings) -> Iterator[tuple[FreezableProxy, str]]:
    url = make_url(settings.database_url)
    with FreezableProxy(url.host or "", url.port or 5432) as proxy:
        yield proxy, url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)


def settled(proxy: FreezableProxy) -> int:
    """How many answers have come; each is counted a moment after whoever asked has it."""
    count = -1
    while count != proxy.answers:
        count = proxy.answers
        time.sleep(0.2)
    return count


def test_what_is_asked_together_is_one_round_trip(make_lane: MakeLane, settings: Settings) -> None:
    with proxied(settings) as (proxy, through):
        lane = make_lane(database_url=through)
        steps: list[Step] = [(WORDS, ()), (ADD, (1, 2)), (NOTHING, ())]
        lane.ask(*steps)
        before = settled(proxy)
        lane.ask(*steps)
        assert settled(proxy) == before + 1
        lane.close_idle()


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
    assert lane_of(app).ask((Statement(f"SELECT $1::{kind}", read), (value,))) == [[(value,)]]


@pytest.mark.parametrize(
    "value", [1.5, b"x", {}, ("a",), object(), ["a"], [None]], ids=lambda value: type(value).__name__
)
def test_a_kind_of_value_without_a_rule_is_refused_and_costs_no_place(value: Any, make_lane: MakeLane) -> None:
    with pytest.raises(TypeError):
        texts_of([value])
    lane = make_lane(1)
    with pytest.raises(TypeError):
        lane.ask((ADD, (1, 2)), (ADD, (1, value)))
    assert (lane.count, lane.idle) == (0, [])
    assert lane.ask((ADD, (1, 2))) == [[(3,)]]


# --- errors ---


@pytest.mark.usefixtures("scratch")
def test_an_error_among_several_statements_undoes_all_and_quotes_no_row(app: Flask, lane: QuickLane) -> None:
    pid = pid_of(lane)
    # Not spelled out where the statements are sent: a traceback quotes the source.
    rows = [(1, "secret"), (424242, None), (3, "secret")]
    with pytest.raises(DBAPIError) as refused:
        lane.ask(*[(PUT, row) for row in rows])
    assert refused.value.orig.sqlstate == "23502"
    assert not refused.value.connection_invalidated
    told = "".join(traceback.format_exception(refused.value))
    assert "null value in column" in told
    assert "secret" not in told
    assert "424242" not in told
    assert (lane.count, lane.idle) == (0, [])
    wait_until(lambda: not is_there(app, pid), 20, "the connection stays open")
    assert lane.ask((STORED, ())) == [[]]


@pytest.mark.usefixtures("scratch")
def test_a_key_that_is_there_is_an_integrity_error(lane: QuickLane) -> None:
    lane.ask((PUT, (1, "one")))
    with pytest.raises(IntegrityError) as refused:
        lane.ask((PUT, (1, "other")))
    assert refused.value.orig.sqlstate == "23505"
    assert lane.ask((STORED, ())) == [[(1, "one")]]


@pytest.mark.usefixtures("scratch")
def test_what_only_the_commit_refuses_is_told(app: Flask, lane: QuickLane) -> None:
    execute(app, "ALTER TABLE scratch ADD CONSTRAINT later UNIQUE (word) DEFERRABLE INITIALLY DEFERRED")
    lane.ask((PUT, (1, "one")))
    with pytest.raises(IntegrityError) as refused:
        lane.ask((PUT, (2, "one")))
    assert refused.value.orig.sqlstate == "23505"
    assert lane.ask((STORED, ())) == [[(1, "one")]]


@pytest.mark.usefixtures("scratch")
def test_a_statement_that_cannot_be_prepared_is_refused_like_any_other(lane: QuickLane) -> None:
    with pytest.raises(DBAPIError) as refused:
        lane.ask((PUT, (1, "one")), (Statement("SELECT nothing FROM nowhere", int), ()), (ADD, (1, 2)))
    assert refused.value.orig.sqlstate == "42P01"
    assert lane.ask((STORED, ()), (ADD, (1, 2))) == [[], [(3,)]]


@pytest.mark.usefixtures("scratch")
def test_a_transaction_that_is_given_up_is_rolled_back(lane: QuickLane) -> None:
    connection = lane.take()
    lane.within(connection, (BEGIN, ()), (PUT, (1, "one")))
    lane.give_up(connection)
    assert lane.ask((STORED, ())) == [[]]
    connection = lane.take()
    lane.within(connection, (BEGIN, ()), (PUT, (1, "one")))
    lane.within(connection, (COMMIT, ()))
    lane.give_back(connection)
    assert lane.ask((STORED, ())) == [[(1, "one")]]


def test_an_idle_connection_that_the_server_has_closed_is_replaced(app: Flask, lane: QuickLane) -> None:
    for connection in hold(lane, 3):
        lane.give_back(connection)
    pid = pid_of(lane)
    closed = lane.idle[-1]
    terminate(app, pid)
    wait_until(lambda: closed.is_readable(), 20, "the server did not hang up")
    assert pid_of(lane) != pid
    assert closed not in lane.idle
    assert lane.count == len(lane.idle) == 3


def test_a_closed_connection_is_not_handed_to_those_who_wait(app: Flask, make_lane: MakeLane) -> None:
    lane = make_lane(1)
    connection = lane.take()
    pid = lane.within(connection, (PID, ()))[0][0][0]
    found: list[int] = []
    waiting = threading.Thread(target=lambda: found.append(pid_of(lane)))
    waiting.start()
    wait_until(lambda: lane.waiting, 20, "nobody waits")
    terminate(app, pid)
    wait_until(lambda: connection.is_readable(), 20, "the server did not hang up")
    lane.give_back(connection)
    waiting.join(20)
    assert len(found) == 1
    assert found != [pid]
    assert lane.count == 1


def test_a_connection_that_is_lost_between_two_calls_is_told(app: Flask, lane: QuickLane) -> None:
    connection = lane.take()
    terminate(app, lane.within(connection, (PID, ()))[0][0][0])
    wait_until(lambda: connection.is_readable(), 20, "the server did not hang up")
    with pytest.raises(DBAPIError) as lost:
        lane.within(connection, (COMMIT, ()))
    assert lost.value.connection_invalidated
    assert is_outage(lost.value)
    lane.give_up(connection)
    assert (lane.count, lane.idle) == (0, [])


def test_a_connection_that_is_lost_while_it_waits_for_an_answer_is_told(app: Flask, lane: QuickLane) -> None:
    pid = pid_of(lane)
    lost: list[DBAPIError] = []

    def ask() -> None:
        with pytest.raises(DBAPIError) as raised:
            lane.ask((ADD, (1, 2)), (SLEEP, ()), (ADD, (1, 2)))
        lost.append(raised.value)

    asking = threading.Thread(target=ask)
    asking.start()
    is_asleep = "SELECT count(*) FROM pg_stat_activity WHERE pid = :pid AND wait_event = 'PgSleep'"
    wait_until(lambda: execute(app, is_asleep, pid=pid), 20, "nothing is asked")
    terminate(app, pid)
    asking.join(20)
    assert lost[0].connection_invalidated
    assert is_outage(lost[0])
    assert (lane.count, lane.idle) == (0, [])
    assert lane.ask((ADD, (1, 2))) == [[(3,)]]


def test_a_database_that_is_not_there_is_told_as_an_outage_and_takes_no_place(
    make_lane: MakeLane, settings: Settings
) -> None:
    url = make_url(settings.database_url).set(host="127.0.0.1", port=free_port())
    lane = make_lane(2, database_url=url.render_as_string(hide_password=False))
    for _ in range(5):
        with pytest.raises(OperationalError) as away:
            lane.ask((PID, ()))
        assert is_outage(away.value)
        assert lane.count == 0


@pytest.mark.usefixtures("scratch")
def test_statements_that_were_prepared_for_an_older_table_are_prepared_anew(app: Flask, make_lane: MakeLane) -> None:
    """All connections are out of date at the same moment, and a request meets one after another."""
    lane = make_lane(8)
    connections = hold(lane, 8)
    for connection in connections:
        lane.within(connection, (STORED, ()))
        lane.give_back(connection)
    execute(app, "ALTER TABLE scratch ADD COLUMN more int8")
    lane.idle.reverse()
    stale = lane.take()
    with pytest.raises(DBAPIError) as refused:
        lane.within(stale, (STORED, ()))
    assert refused.value.orig.sqlstate == "0A000"
    assert refused.value.connection_invalidated
    lane.give_up(stale)
    assert lane.ask((STORED, ())) == [[]]
    assert 1 <= lane.count == len(lane.idle) < 8


@pytest.mark.usefixtures("scratch")
def test_nobody_is_told_that_the_tables_have_changed(app: Flask, make_lane: MakeLane) -> None:
    """Nor is anything done twice: the statement before the stale one is undone with it."""
    lane = make_lane(4)
    for connection in hold(lane, 4):
        lane.within(connection, (STORED, ()))
        lane.give_back(connection)
    execute(app, "ALTER TABLE scratch ADD COLUMN more int8")
    assert lane.ask((PUT, (1, "one")), (STORED, ())) == [[], [(1, "one")]]


# --- the pool ---


def test_no_more_connections_are_made_than_may_be(make_lane: MakeLane) -> None:
    """Threads that take turns as often as they can, and failures among them."""
    size = 2
    lane = make_lane(size)
    counts: set[int] = set()

    def ask(thread: int) -> set[int]:
        pids = set()
        for number in range(150):
            pid, answer = lane.ask((PID, ()), (ADD, (thread, number)))
            assert answer == [(thread + number,)]
            pids.add(pid[0][0])
            counts.add(lane.count)
            if number % 50 == 49:
                with pytest.raises(DBAPIError):
                    lane.ask((Statement("SELECT 1 / 0", int), ()))
        return pids

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        found = at_once([lambda thread=thread: ask(thread) for thread in range(8)])
    finally:
        sys.setswitchinterval(before)
    assert max(counts) <= size
    # Each failure costs a connection.
    assert len(set.union(*found)) <= size + 8 * 3
    assert lane.count == len(lane.idle) <= size
    assert not lane.waiting


def test_whoever_waits_too_long_is_told_and_takes_no_place(make_lane: MakeLane) -> None:
    lane = make_lane(2, 0.05)
    held = hold(lane, 2)
    for _ in range(3):
        with pytest.raises(PoolTimeoutError) as late:
            lane.ask((PID, ()))
        assert is_outage(late.value)
    assert lane.count == 2
    assert not lane.waiting
    lane.give_back(held.pop())
    assert lane.ask((ADD, (1, 2))) == [[(3,)]]
    lane.give_up(held.pop())
    assert lane.count == len(lane.idle) == 1


@pytest.mark.parametrize("is_lost", [False, True])
def test_those_who_wait_are_served_in_their_order_and_nobody_overtakes(is_lost: bool, make_lane: MakeLane) -> None:
    lane = make_lane(1)
    held = lane.take()
    served: list[str] = []

    def come(name: str) -> None:
        connection = lane.take()
        served.append(name)
        (lane.give_up if is_lost else lane.give_back)(connection)

    threads = []
    for number, name in enumerate("abcd", 1):
        threads.append(threading.Thread(target=come, args=(name,)))
        threads[-1].start()
        wait_until(lambda number=number: len(lane.waiting) == number, 20, "nobody waits")
    (lane.give_up if is_lost else lane.give_back)(held)
    come("late")
    for thread in threads:
        thread.join(20)
    assert served == ["a", "b", "c", "d", "late"]
    assert lane.count == len(lane.idle) == (0 if is_lost else 1)


def test_the_place_of_a_connection_that_cannot_be_made_goes_to_the_next_who_waits(
    make_lane: MakeLane, settings: Settings
) -> None:
    url = make_url(settings.database_url).set(host="127.0.0.1", port=free_port())
    lane = make_lane(1, database_url=url.render_as_string(hide_password=False))

    def ask() -> str:
        with pytest.raises(DBAPIError) as away:
            lane.ask((PID, ()))
        return type(away.value).__name__

    assert at_once([ask] * 6) == ["OperationalError"] * 6
    assert lane.count == 0
    assert not lane.waiting


def test_a_greenlet_that_is_ended_gives_up_its_connection_or_its_turn(
    app: Flask, settings: Settings, tmp_path: Path
) -> None:
    command = (sys.executable, "-m", "gevent.monkey", "--module", "tests.interrupted_greenlets", "postgres")
    addresses = (settings.database_url, settings.redis_url)
    with Program((*command, *addresses), environment_of(settings), tmp_path / "log") as program:
        assert program.wait() == 0, program.output
    assert program.output.splitlines()[-1] == "done"


def test_a_connection_is_made_while_all_of_the_engines_own_are_in_use(make_lane: MakeLane) -> None:
    """By requests that have read something the long way and now swipe: they would wait for each other."""
    lane = make_lane(2, database_max_overflow=2)
    with lane.engine.connect(), lane.engine.connect():
        assert lane.ask((ADD, (1, 2))) == [[(3,)]]


def test_the_end_of_the_engines_pool_closes_those_that_nobody_uses(app: Flask, make_lane: MakeLane) -> None:
    lane = make_lane()
    used, *unused = hold(lane, 3)
    pids = [lane.within(connection, (PID, ()))[0][0][0] for connection in (used, *unused)]
    for connection in unused:
        lane.give_back(connection)
    lane.engine.dispose()
    assert (lane.count, lane.idle) == (1, [])
    wait_until(lambda: [is_there(app, pid) for pid in pids] == [True, False, False], 20, "they stay open")
    assert lane.within(used, (ADD, (1, 2))) == [[(3,)]]
    lane.give_back(used)
    assert pid_of(lane) == pids[0]


# --- logins ---


@pytest.mark.usefixtures("context")
def test_a_login_whose_account_is_gone_again_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for way in ("assemble", "load_account"):
        monkeypatch.setattr(accounts, way, lambda *_: None)
    with pytest.raises(LoginError):
        accounts.find_or_create("+8613800138000")


# --- swipes ---


@pytest.fixture
def couple(people: People) -> tuple[int, int]:
    return people.add(vip=1).id, people.woman().id


def is_idle(app: Flask) -> bool:
    """True where the lane's connections are all back, with no transaction open on any."""
    lane = lane_of(app)
    states = {connection.libpq.transaction_status for connection in lane.idle}
    return lane.count == len(lane.idle) >= 1 and states == {TransactionStatus.IDLE}


@pytest.mark.usefixtures("context")
def test_a_swipe_beyond_the_quota_leaves_nothing(
    app: Flask, people: People, couple: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, sid = couple
    other = people.woman().id
    monkeypatch.setitem(app.config, "SUPERLIKES_PER_DAY", 1)
    standing = standing_of(uid)
    assert swipe(uid, sid, SwipeKind.SUPERLIKE, standing) == Outcome(False)
    before = state_of(app)
    for _ in range(3):
        with pytest.raises(RateLimitedError):
            swipe(uid, other, SwipeKind.SUPERLIKE, standing)
        # The same again is free.
        assert swipe(uid, sid, SwipeKind.SUPERLIKE, standing) == Outcome(False)
    with pytest.raises(AlreadySwipedError):
        swipe(uid, sid, SwipeKind.DISLIKE, standing)
    assert state_of(app) == before
    assert is_idle(app)
    assert swipe(uid, other, SwipeKind.DISLIKE, standing) == Outcome(False)


def test_a_like_that_meets_the_last_of_the_quota_being_spent_leaves_nothing(app: Flask, people: People) -> None:
    """It has seen that one is left, and waits for whoever counts that one."""
    man, first, woman = people.add(), people.woman(), people.woman()
    assert man.like(first).status_code == 200
    limit = app.config["LIKES_PER_DAY"]
    refused: list[Any] = []
    count = text("UPDATE quotas SET used = :used WHERE uid = :uid AND kind = 'like'")
    execute(app, count.text, used=limit - 1, uid=man.id)
    with app.app_context(), db.engine.connect() as connection:
        connection.execute(count, {"used": limit, "uid": man.id})
        late = threading.Thread(target=lambda: refused.append(man.like(woman)))
        late.start()
        wait_until(
            lambda: execute(app, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"),
            20,
            "it does not wait",
        )
        before = state_of(app)
        connection.commit()
        late.join(20)
    assert [answer.status_code for answer in refused] == [429]
    after = state_of(app)
    assert {name: rows for name, rows in after.items() if name != "quotas"} == {
        name: rows for name, rows in before.items() if name != "quotas"
    }
    assert execute(app, "SELECT used FROM quotas WHERE uid = :uid", uid=man.id) == limit
    assert man.like(woman).status_code == 429
    assert man.like(first).status_code == 200


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("kind", SwipeKind)
@pytest.mark.parametrize("is_own", [False, True])
def test_a_swipe_of_or_by_somebody_who_was_deleted_meanwhile_leaves_nothing(
    is_own: bool, kind: SwipeKind, app: Flask, couple: tuple[int, int]
) -> None:
    uid, sid = couple
    standing = standing_of(uid)
    delete_account(uid if is_own else sid)
    before = state_of(app)
    with pytest.raises(NotFoundError):
        swipe(uid, sid, kind, standing)
    assert state_of(app) == before
    assert is_idle(app)


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_swipe_whose_connection_is_lost_at_its_commit_is_stored_once(
    is_committed: bool, app: Flask, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    man, woman = people.add(), people.woman()
    woman.like(man)
    lane = lane_of(app)
    real, lost = lane.within, []

    def lose_once(connection: QuickConnection, *steps: Step) -> Any:
        if steps[-1][0] is COMMIT and not lost:
            lost.append(connection)
            real(connection, *(steps if is_committed else steps[:-1]))
            terminate(app, connection.libpq.backend_pid)
            wait_until(lambda: connection.is_readable(), 20, "the server did not hang up")
        return real(connection, *steps)

    monkeypatch.setattr(lane, "within", lose_once)
    for _ in range(2):
        assert man.like(woman).json == {"code": 0, "data": {"is_matched": True}}
    assert len(lost) == 1
    assert whole_swipe(app, man, woman) == [True] * 5
    assert is_idle(app)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/Sao_Paulo"])
def test_ages_are_those_of_the_calendar_whatever_the_zone_of_the_session(zone: str, app: Flask) -> None:
    """In the latter two a night began at one o'clock on days among these: 1949-05-01, 1987-10-25."""
    born = [date(1949, 5, 1), date(1987, 10, 25), date(2000, 2, 29), date(1999, 12, 31), date(1990, 1, 1)]
    days = [date(2026, 4, 30), date(2026, 5, 1), date(2026, 10, 24), date(2026, 10, 25), date(2026, 2, 28)]
    days += [date(2026, 3, 1), date(2028, 2, 29), date(2025, 12, 30), date(2025, 12, 31), date(2026, 1, 1)]
    with app.app_context(), db.engine.connect() as connection:
        connection.exec_driver_sql(f"SET TIME ZONE '{zone}'")
        for day in days:
            for birthday in born:
                age = quick.AGE.replace("$10", f"'{day}'")
                told = connection.exec_driver_sql(f"SELECT {age} FROM (SELECT date '{birthday}') AS t (birthday)")
                assert told.scalar() == age_on(day, birthday), (day, birthday)


def test_whom_a_caller_has_swiped_is_looked_up_without_reading_all_their_swipes(app: Flask, people: People) -> None:
    """With the plan that is made once for all callers: among people with few swipes, one who has very many."""
    busy, others, swiped_at = people.add().id, range(10**6, 10**6 + 20_000), datetime.now(UTC)
    fits = people.woman(location="北京").id
    with app.app_context():
        rows = [(busy, sid, SwipeKind.LIKE, swiped_at) for sid in others]
        rows += [(uid, uid + 1, SwipeKind.LIKE, swiped_at) for uid in range(20_000)]
        bulk_insert(Swipe, ("uid", "sid", "kind", "swiped_at"), rows)
        db.session.commit()
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE swipes")
            connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
            types = "int8, text, text, text, text, date, date, int8, timestamptz"
            asked = f"ARRAY[1, 2, 3, 1000000, 1019999, {fits}]::int8[]"
            wanted = f"{busy}, '北京', 'female', 'female', 'male', '1900-01-01', '2020-01-01', 0, now()"
            card_types, card_values = f"{types}, date, int8[], timestamptz", f"{wanted}, '2026-03-10', {asked}, now()"
            plans = []
            for statement, kinds, values in (
                (quick.SWIPED, "int8, int8[]", f"{busy}, {asked}"),
                (quick.FITTING, f"{types}, int8[]", f"{wanted}, {asked}"),
                (quick.FITTING_CARDS, f"{card_types}, int8", f"{card_values}, 5"),
                (quick.CARDS_AND_LIKERS, f"{card_types}, int8, int8", f"{card_values}, 5, 100"),
            ):
                name = f"asked{len(plans)}"
                connection.exec_driver_sql(f"PREPARE {name} ({kinds}) AS {statement.sql}")
                told = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) EXECUTE {name} ({values})").scalars()
                plans.append("\n".join(told))
            connection.exec_driver_sql("RESET plan_cache_mode")
        for plan in plans[1:]:
            assert "rows=1 " in plan.splitlines()[0], plan
        for plan in plans:
            assert "Rows Removed by Filter: 20000" not in plan
            assert int(re.search(r"Buffers: shared hit=(\d+)", plan)[1]) < 40, plan  # type: ignore[index]
        assert sorted(unseen(busy, [1, 10**6, 2, 10**6 + 19_999])) == [1, 2]
