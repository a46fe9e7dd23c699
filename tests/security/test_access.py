"""Who may do what: every route, asked by everyone."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from swiper.extensions import redis
from swiper.ids import MAX_ID
from tests.endpoints import ROLES, ROWS
from tests.security.roles import STATUSES, World, check_answer, take_role, use_up_likes
from tests.security.state import difference, snapshot

PERMISSIONS = {
    "vip1": ["vipflag", "superlike"],
    "vip2": ["superlike", "rewind", "unlimit_like"],
    "vip3": ["vipflag", "superlike", "rewind", "anylocation", "unlimit_like", "who_liked_me"],
}
METHODS = {"GET", "POST", "PUT", "DELETE"}


def routes_of(app: Flask) -> set[tuple[str, str]]:
    """Every method of every rule; what Flask adds to a GET by itself is asked for beside it."""
    return {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def unclassified(app: Flask) -> set[tuple[str, str]]:
    return routes_of(app) ^ {(row.method, row.rule) for row in ROWS}


def test_every_route_stands_in_the_table_and_nothing_else_does(app: Flask) -> None:
    assert unclassified(app) == set()


def test_the_guard_notices_a_route_that_nobody_has_classified(make_app: Callable[..., Flask]) -> None:
    app = make_app()
    app.get("/backstage")(lambda: {})
    assert unclassified(app) == {("GET", "/backstage")}


@pytest.mark.parametrize("role", ROLES)
def test_everyone_is_told_what_the_table_says_and_a_refusal_changes_nothing(world: World, role: str) -> None:
    person = take_role(world, role)
    before: dict[Any, Any] | None = None
    for row in ROWS:
        expected, what = row.expected[role], f"{row.method} {row.rule} {row.variant}"
        if row.variant == "fifty_first" and person:
            use_up_likes(world, person)
            before = None
        path, body = world.path(row.rule), world.body(row)
        # People and codes that a request needs are made with it; that an operator has looked at somebody is logged.
        is_look = expected == "page" and (row.method == "POST" or row.rule == "/admin/people/<id:uid>")
        if expected in ("0", "303") or is_look:
            before = None
        elif before is None or "sid" in body.get("json", ()) or "headers" in body:
            before = snapshot(world.app)
        check_answer(world.ask(row.method, path, **body), expected, role, what)
        if before is not None:
            assert difference(before, snapshot(world.app)) == [], what
        if row.rule == "/api/user/logout" and person:
            world.caller, before = world.people.client_of(person.id), None


@pytest.mark.parametrize("role", ["stranger", "vip3", "banned"])
def test_what_flask_answers_by_itself_tells_and_changes_nothing(world: World, role: str) -> None:
    """HEAD is held to the table as GET is; OPTIONS names methods alone; any other method is refused."""
    take_role(world, role)
    allowed: dict[str, set[str]] = {}
    for row in ROWS:
        allowed.setdefault(world.path(row.rule), set()).add(row.method)
    before = snapshot(world.app)
    for row in ROWS:
        if row.method == "GET" and row.rule not in ("/api/user/verify", "/api/user/export"):
            answer = world.ask("HEAD", world.path(row.rule))
            assert answer.status_code in STATUSES[row.expected[role]], row.rule
            assert answer.data == b""
    for path, methods in allowed.items():
        answer = world.ask("OPTIONS", path)
        if role == "banned" and path not in ("/healthz", "/readyz"):
            assert answer.json["code"] == 1010
        else:
            assert (answer.status_code, answer.data) == (200, b""), path
        for method in METHODS - methods:
            answer = world.ask(method, path)
            assert (answer.status_code, answer.json["code"]) in ((405, 1009), (403, 1010)), f"{method} {path}"
    # The deck that HEAD has made is the caller's own, and the check of readiness tries whether Redis takes writes.
    changed = [name for name in difference(before, snapshot(world.app)) if name != b"readiness"]
    assert [name for name in changed if not str(name).endswith(":deck'")] == []


@pytest.mark.parametrize("role", ["other", "vip3"])
def test_somebody_else_s_is_as_absent_as_what_never_was(world: World, role: str) -> None:
    """Down to the last byte, so that nobody learns which ids exist."""
    take_role(world, role)
    seen = []
    for row in ROWS:
        # That there is a desk at all is nobody's business; tests/admin looks at its bytes.
        if row.expected[role] != "1009" or row.rule.startswith("/admin"):
            continue
        theirs = world.ask(row.method, world.path(row.rule), **world.body(row))
        if "<id:" in row.rule or "<session_id>" in row.rule:
            nobodys = world.ask(row.method, row.rule.partition("<")[0] + str(MAX_ID - 1), **world.body(row))
        else:
            nobodys = world.ask(row.method, row.rule, json={"sid": str(MAX_ID - 1)})
        assert (theirs.status_code, theirs.data) == (nobodys.status_code, nobodys.data), row.rule
        assert set(theirs.headers.keys()) == set(nobodys.headers.keys())
        seen.append(row.rule)
    assert len(seen) == 7


OWN_VIEWS = ["/api/user/profile", "/api/user/export", "/api/vip/me", "/api/social/friends", "/api/social/liked_me"]


@pytest.mark.parametrize("path", OWN_VIEWS)
def test_an_own_view_cannot_be_turned_to_somebody_else(world: World, path: str) -> None:
    caller = world.people.add(vip=3)
    confirmation = {"X-Confirm-Code": "123456"}
    caller.fresh_code()
    plain = caller.client.get(path, headers=confirmation).json["data"]
    for name in ("id", "uid", "user_id", "sid", "phone"):
        for headers in ({}, {f"X-{name.title()}": str(world.owner.id)}):
            caller.fresh_code()
            with world.app.app_context():
                # As when an hour has passed since the last export.
                redis.client.delete(f"{{u:{caller.id}}}:export")
            query = {name: str(world.owner.id)}
            answer = caller.client.get(path, query_string=query, headers=headers | confirmation)
            assert answer.status_code in (200, 422)
            assert str(world.owner.id) not in str(answer.json.get("data")), name
            if answer.status_code == 200:
                assert answer.json["data"].keys() == plain.keys()


@pytest.mark.parametrize("role", ["owner", "other", "vip1", "vip2", "vip3"])
def test_each_level_has_its_permissions_and_its_badge(world: World, role: str) -> None:
    person = take_role(world, role)
    assert person is not None
    granted = PERMISSIONS.get(role, [])
    assert world.ask("GET", "/api/vip/me").json["data"]["permissions"] == granted
    for card in (
        world.ask("GET", "/api/user/profile").json["data"],
        world.friend.get(f"/api/user/{person.id}").json["data"],
    ):
        assert card["vip"]["badge"] is ("vipflag" in granted)
