"""Logins and swipes in one statement leave all or nothing."""

import re
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from deploy.processes import wait_until
from swiper.auth import login
from swiper.db import stock_postgres
from swiper.db.upsert import bulk_insert
from swiper.errors import AlreadySwipedError, LoginError, NotFoundError, RateLimitedError
from swiper.extensions import db
from swiper.profiles import profiles
from swiper.profiles.accounts import delete_account
from swiper.social.candidates import unseen
from swiper.social.models import Swipe, SwipeKind
from swiper.social.queries import deck as queries
from swiper.social.swipes import Outcome, swipe
from swiper.vip.levels import vip_status_of
from tests.db.single_node.runners import execute, is_idle, is_there, terminate
from tests.factories import People
from tests.http.test_bad_input import state_of
from tests.test_outages import whole_swipe


@pytest.mark.usefixtures("context")
def test_a_login_whose_account_is_gone_again_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "assemble", lambda *_: None)
    monkeypatch.setattr(profiles, "load_account", lambda _: None)
    with pytest.raises(LoginError):
        login.find_or_create("+8613800138000")


@pytest.fixture
def couple(people: People) -> tuple[int, int]:
    return people.add(vip=1).id, people.woman().id


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
