"""Single statements to PostgreSQL: many in one round trip, a small pool, and errors in SQLAlchemy's words.

Collected where the tests run on PostgreSQL alone (`tests/conftest.py`).
"""

import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from config.settings import Settings
from deploy.processes import wait_until
from swiper.auth import login
from swiper.db import stock_postgres
from swiper.db.stock_postgres import StockPostgres
from swiper.db.upsert import bulk_insert
from swiper.errors import AlreadySwipedError, LoginError, NotFoundError, RateLimitedError
from swiper.extensions import db
from swiper.fastpath.postgres_statements import BEGIN, COMMIT, Statement, Step, texts_of
from swiper.http.responses import is_outage
from swiper.profiles import profiles
from swiper.profiles.accounts import delete_account
from swiper.social.candidates import unseen
from swiper.social.models import Swipe, SwipeKind
from swiper.social.queries import deck as queries
from swiper.social.swipes import Outcome, swipe
from swiper.vip.levels import vip_status_of
from tests.factories import People, at_once
from tests.http.test_bad_input import state_of
from tests.processes import free_port, patched_program
from tests.proxy import FreezableProxy
from tests.test_outages import whole_swipe

PID = Statement("SELECT pg_backend_pid()", int)
ADD = Statement("SELECT $1::int8 + $2::int8", int)
WORDS = Statement("SELECT * FROM (VALUES (1, 'one', NULL::int8), (2, NULL, 3)) AS words ORDER BY 1", int, str, int)
NOTHING = Statement("SELECT 1 WHERE false", int)
PREPARED = Statement("SELECT count(*) FROM pg_prepared_statements", int)
SLEEP = Statement("SELECT pg_sleep(60)::text", str)
NAP = Statement("SELECT pg_sleep(0.01)::text", str)
PUT = Statement("INSERT INTO scratch (id, word) VALUES ($1::int8, $2::text)")
STORED = Statement("SELECT * FROM scratch ORDER BY id", int, str)
WAIT_SECONDS = 30.0

MakeStatements = Callable[..., StockPostgres]


def statements_of(app: Flask) -> StockPostgres:
    statements: StockPostgres = app.extensions["database"].runner
    return statements


@pytest.fixture
def make_statements(app: Flask, make_app: Callable[..., Flask]) -> MakeStatements:
    """Builds applications with connections of their own, and returns what runs statements on them."""

    def make(size: int = 3, wait_seconds: float = WAIT_SECONDS, **changes: Any) -> StockPostgres:
        options = {"database_pool_size": size, "database_pool_timeout_seconds": wait_seconds}
        return statements_of(make_app(**options | changes))

    return make


@pytest.fixture(params=[False, True], ids=["prepared", "behind pgbouncer"])
def statements(request: pytest.FixtureRequest, make_statements: MakeStatements) -> StockPostgres:
    """One that prepares its statements, and one that may not."""
    return make_statements(database_behind_pgbouncer=request.param)


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


def pid_of(statements: StockPostgres) -> int:
    """The server's process behind the connection that was used last."""
    pid: int = statements.ask((PID, ()))[0][0][0]
    return pid


def is_there(app: Flask, pid: int) -> bool:
    return bool(execute(app, "SELECT count(*) FROM pg_stat_activity WHERE pid = :pid", pid=pid))


def terminate(app: Flask, pid: int) -> None:
    assert execute(app, "SELECT pg_terminate_backend(:pid)", pid=pid)


# --- statements and rows ---


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
        assert statements.ask((BEGIN, ()), (level, ()), (COMMIT, ())) == [[], [("read committed",)], []]


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


# --- errors ---


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


# --- the pool ---


def test_no_more_connections_are_made_than_may_be(make_statements: MakeStatements) -> None:
    """Threads that take turns as often as they can, and failures among them."""
    size = 3
    statements = make_statements(size)

    def ask(thread: int) -> set[int]:
        pids = set()
        for number in range(150):
            pid, answer = statements.ask((PID, ()), (ADD, (thread, number)))
            assert answer == [(thread + number,)]
            pids.add(pid[0][0])
            if number % 50 == 49:
                with pytest.raises(DBAPIError):
                    statements.ask((Statement("SELECT 1 / 0", int), ()))
        return pids

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        found = at_once([lambda thread=thread: ask(thread) for thread in range(8)])
    finally:
        sys.setswitchinterval(before)
    # Each failure costs a connection.
    assert len(set.union(*found)) <= size + 8 * 3


def test_whoever_waits_too_long_is_told_and_takes_no_place(make_statements: MakeStatements) -> None:
    statements = make_statements(3, 0.05)
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(closing(statements.engine.raw_connection()))
        for _ in range(3):
            with pytest.raises(PoolTimeoutError) as late:
                statements.ask((PID, ()))
            assert is_outage(late.value)
    assert at_once([lambda: statements.ask((ADD, (1, 2)))] * 3) == [[[(3,)]]] * 3


def test_the_place_of_a_connection_that_cannot_be_made_goes_to_the_next_who_waits(
    make_statements: MakeStatements, settings: Settings
) -> None:
    url = make_url(settings.database_url).set(host="127.0.0.1", port=free_port())
    statements = make_statements(database_url=url.render_as_string(hide_password=False))

    def ask() -> str:
        with pytest.raises(DBAPIError) as away:
            statements.ask((PID, ()))
        return type(away.value).__name__

    assert at_once([ask] * 6) == ["OperationalError"] * 6


@pytest.mark.parametrize("fast_paths", ["on", "off"])
def test_a_greenlet_that_is_ended_gives_up_its_connection_or_its_turn(
    fast_paths: str, app: Flask, settings: Settings, tmp_path: Path
) -> None:
    arguments = ("postgres", settings.database_url, settings.redis_url, fast_paths)
    with patched_program(settings, tmp_path / "log", "tests.interrupted_greenlets", *arguments) as program:
        assert program.wait() == 0, program.output
    assert program.output.splitlines()[-1] == "done"


def test_a_connection_is_made_while_all_of_the_engines_own_are_in_use(make_app: Callable[..., Flask]) -> None:
    """By requests that have read something the long way and now swipe: they would wait for each other."""
    app = make_app(database_pool_size=3, database_max_overflow=3)
    with app.app_context(), db.engine.connect(), db.engine.connect(), db.engine.connect():
        assert statements_of(app).ask((ADD, (1, 2))) == [[(3,)]]


def test_the_end_of_the_engines_pool_closes_those_that_nobody_uses(app: Flask, make_app: Callable[..., Flask]) -> None:
    own = make_app()
    pid = pid_of(statements_of(own))
    with own.app_context():
        db.engine.dispose()
    wait_until(lambda: not is_there(app, pid), 20, "it stays open")
    assert pid_of(statements_of(own)) != pid


# --- logins ---


@pytest.mark.usefixtures("context")
def test_a_login_whose_account_is_gone_again_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "assemble", lambda *_: None)
    monkeypatch.setattr(profiles, "load_account", lambda _: None)
    with pytest.raises(LoginError):
        login.find_or_create("+8613800138000")


# --- swipes ---


@pytest.fixture
def couple(people: People) -> tuple[int, int]:
    return people.add(vip=1).id, people.woman().id


def is_idle(app: Flask) -> bool:
    """True where no transaction is left open on any connection."""
    left = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    return bool(execute(app, left) == 0)


@pytest.mark.usefixtures("context")
def test_a_swipe_beyond_the_quota_leaves_nothing(
    app: Flask, people: People, couple: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, sid = couple
    other = people.woman().id
    monkeypatch.setitem(app.config, "SUPERLIKES_PER_DAY", 1)
    vip_status = vip_status_of(uid)
    assert swipe(uid, sid, SwipeKind.SUPERLIKE, vip_status) == Outcome(False)
    before = state_of(app)
    for _ in range(3):
        with pytest.raises(RateLimitedError):
            swipe(uid, other, SwipeKind.SUPERLIKE, vip_status)
        # The same again is free.
        assert swipe(uid, sid, SwipeKind.SUPERLIKE, vip_status) == Outcome(False)
    with pytest.raises(AlreadySwipedError):
        swipe(uid, sid, SwipeKind.DISLIKE, vip_status)
    assert state_of(app) == before
    assert is_idle(app)
    assert swipe(uid, other, SwipeKind.DISLIKE, vip_status) == Outcome(False)


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
    vip_status = vip_status_of(uid)
    delete_account(uid if is_own else sid)
    before = state_of(app)
    with pytest.raises(NotFoundError):
        swipe(uid, sid, kind, vip_status)
    assert state_of(app) == before
    assert is_idle(app)


@pytest.mark.parametrize("is_committed", [False, True])
def test_a_swipe_whose_connection_is_lost_at_its_commit_is_stored_once(
    is_committed: bool, app: Flask, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    man, woman = people.add(), people.woman()
    woman.like(man)
    real, lost = stock_postgres._run_each, []

    def lose_once(driver: Any, steps: Any) -> Any:
        if "INTO pairs" in steps[0][0].sql and not lost:
            lost.append(driver)
            if is_committed:
                real(driver, steps)
            terminate(app, driver.pgconn.backend_pid)
            wait_until(lambda: not is_there(app, driver.pgconn.backend_pid), 20, "it does not end")
        return real(driver, steps)

    monkeypatch.setattr(stock_postgres, "_run_each", lose_once)
    for _ in range(2):
        assert man.like(woman).json == {"code": 0, "data": {"is_matched": True}}
    assert len(lost) == 1
    assert whole_swipe(app, man, woman) == [True] * 5
    assert is_idle(app)


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
            values = {
                "uid": ("int8", f"{busy}"),
                "uids": ("int8[]", f"ARRAY[1, 2, 3, 1000000, 1019999, {fits}]::int8[]"),
                "city": ("text", "'北京'"),
                **dict.fromkeys(("first_sex", "second_sex"), ("text", "'female'")),
                "own_sex": ("text", "'male'"),
                "born_after": ("date", "'1900-01-01'"),
                "born_until": ("date", "'2020-01-01'"),
                "from_id": ("int8", "0"),
                "likers": ("int8[]", "'{}'"),
                **dict.fromkeys(("now", "since"), ("timestamptz", "now()")),
                "count": ("int8", "5"),
                "most": ("int8", "100"),
            }
            plans = []
            for statement in (
                *(queries.SWIPED, queries.FITTING),
                *(queries.FITTING_CARDS_SINGLE_NODE, queries.CARDS_AND_LIKERS_SINGLE_NODE),
            ):
                name = f"asked{len(plans)}"
                kinds, asked = zip(*[values[each] for each in statement.names], strict=True)
                connection.exec_driver_sql(f"PREPARE {name} ({', '.join(kinds)}) AS {statement.numbered.sql}")
                explain = f"EXPLAIN (ANALYZE, BUFFERS) EXECUTE {name} ({', '.join(asked)})"
                plans.append("\n".join(connection.exec_driver_sql(explain).scalars()))
            connection.exec_driver_sql("RESET plan_cache_mode")
        for plan in plans[1:]:
            assert "rows=1 " in plan.splitlines()[0], plan
        for plan in plans:
            assert "Rows Removed by Filter: 20000" not in plan
            assert int(re.search(r"Buffers: shared hit=(\d+)", plan)[1]) < 40, plan  # type: ignore[index]
        assert sorted(unseen(busy, [1, 10**6, 2, 10**6 + 19_999])) == [1, 2]
