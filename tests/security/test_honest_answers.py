"""While Redis refuses writes, every route that changes something tells the truth about it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis

from tests.endpoints import ROWS
from tests.security.roles import World, take_role, use_up_likes
from tests.security.state import difference, snapshot
from tests.test_redis_refusals import Refusal, private

__all__ = ["private"]

CHANGING = [row for row in ROWS if row.method != "GET"]
# What these change is in Redis alone, and a search by name changes nothing.
NO_TABLE = {"/api/user/logout", "/admin/lock", "/admin/people/search"}
REFUSED = {"1000", "1004", "1005", "1006", "1009", "1014", "1017", "400"}


@pytest.fixture
def app(app: Flask, make_app: Callable[..., Flask], private: tuple[Redis, Path], tmp_path: Path) -> Flask:
    """The service on a Redis of its own."""
    return make_app(redis_url=f"unix://{tmp_path / 'redis.sock'}")


def tables(changed: list[object]) -> list[object]:
    """Of what has changed, the tables; the other names are keys of Redis."""
    return [name for name in changed if isinstance(name, str)]


@pytest.mark.parametrize("word", ["READONLY", "OOM"])
@pytest.mark.parametrize("role", ["vip3", "operator"])
def test_1011_changes_nothing_and_a_success_has_changed_something(
    world: World, private: tuple[Redis, Path], role: str, word: str
) -> None:
    person, refusal = take_role(world, role), Refusal(*private, word)
    assert person
    told: dict[str, int] = {}
    for row in CHANGING:
        if row.expected[role] == "302":
            continue
        what = f"{row.method} {row.rule} {row.variant}".strip()
        if row.variant == "fifty_first":
            use_up_likes(world, person)
        path, body = world.path(row.rule), world.body(row)
        before = snapshot(world.app)
        refusal.begin()
        answer = world.ask(row.method, path, **body)
        refusal.end()
        changed = tables(difference(before, snapshot(world.app)))
        told[what] = answer.status_code
        if answer.status_code >= 400:
            # 503 says that nothing was changed, the others what they say at any time.
            assert answer.status_code == 503 or row.expected[role] in REFUSED, f"{what}: {answer.text}"
            assert changed == [], what
        elif row.rule not in NO_TABLE:
            assert changed, f"{what} was answered {answer.status_code}, and nothing is stored"
        if row.rule == "/api/user/logout":
            left = world.caller.get("/api/user/profile").status_code
            assert (answer.status_code, left) in ((503, 200), (200, 401)), "what was said of the session is not so"
            world.caller = world.people.client_of(person.id)
    assert {503} < set(told.values())
