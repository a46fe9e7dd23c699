"""Pages that are the same for everyone: this process's own copy of them, and what conditional requests are answered."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy import update

from swiper.cache.values import invalidate
from swiper.extensions import cache, db
from swiper.http.page_cache import cached_page
from swiper.vip.levels import LEVELS_PAGE_KEY
from swiper.vip.models import VipLevel
from tests.factories import People, at_once, forget_levels

LEVELS, HOT = "/api/vip/levels", "/api/social/hot"
KINDS = ["simple", "file", "redis"]


@pytest.fixture
def keeping(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The application, keeping its own copies for long."""
    monkeypatch.setitem(app.config, "LOCAL_REFRESH_SECONDS", 600)
    return app


def reprice(app: Flask, cents: int, *, is_ours: bool = True) -> None:
    """What an operator's change of level 1 does, in this process or in another."""
    with app.app_context():
        db.session.execute(update(VipLevel).where(VipLevel.level == 1).values(price_cents=cents))
        db.session.commit()
        if is_ours:
            forget_levels()
        else:
            cache.delete_many(LEVELS_PAGE_KEY, "vip-levels")
        db.session.remove()


def price(client: FlaskClient) -> Any:
    answer = client.get(LEVELS)
    assert answer.status_code == 200
    return answer.json["data"][1]["price"]


# This process's own copy.


@pytest.mark.parametrize("kind", ["null", *KINDS])
def test_a_write_in_this_process_is_seen_at_once(kind: str, app: Flask, make_app: Callable[..., Flask]) -> None:
    made = make_app(cache_type=kind, local_refresh_seconds=600)
    client = made.test_client()
    for cents in (500, 700, 900, 100):
        reprice(made, cents)
        tags = set()
        for _ in range(3):
            assert price(client) == cents / 100
            tags.add(client.get(LEVELS).headers["ETag"])
        assert len(tags) == 1
    app.extensions["celery"].set_default()


def test_a_write_in_another_process_is_seen_after_the_refresh(
    keeping: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert price(client) == 5.0
    reprice(keeping, 700, is_ours=False)
    assert price(client) == 5.0
    copies = keeping.extensions["local_copies"]
    keeping.extensions["local_copies"] = {key: (kept[0] - 601, kept[1]) for key, kept in copies.items()}
    assert price(client) == 7.0
    reprice(keeping, 900, is_ours=False)
    monkeypatch.setitem(keeping.config, "LOCAL_REFRESH_SECONDS", 0)
    assert price(client) == 9.0


def test_an_own_copy_is_served_while_the_cache_is_away(keeping: Flask, client: FlaskClient) -> None:
    assert price(client) == 5.0
    keeping.extensions["cache_away_until"] = float("inf")
    try:
        assert price(client) == 5.0
        reprice(keeping, 700)
        assert price(client) == 7.0
    finally:
        del keeping.extensions["cache_away_until"]


@pytest.fixture
def page(make_app: Callable[..., Flask], app: Flask) -> Iterator[tuple[Flask, dict[str, Any]]]:
    """An application with one more page, whose text and status can be set, and how often it was rendered."""
    made = make_app(local_refresh_seconds=600)
    state: dict[str, Any] = {"text": "first", "status": 200, "count": 0, "meanwhile": lambda: None}
    made.config["PAGE_SECONDS"] = 300

    @cached_page("page:test", "PAGE_SECONDS", is_public=True)
    def view() -> Response:
        state["count"] += 1
        text = state["text"]
        state["meanwhile"]()
        return Response(text, state["status"], mimetype="application/json")

    made.add_url_rule("/api/page", view_func=view)
    yield made, state
    app.extensions["celery"].set_default()


def test_a_page_is_rendered_once_however_many_ask_at_once(page: tuple[Flask, dict[str, Any]]) -> None:
    app, state = page
    gate = threading.Event()
    state["meanwhile"] = lambda: gate.wait(0.1)
    answers = at_once([lambda: app.test_client().get("/api/page").data for _ in range(8)])
    assert set(answers) == {b"first"}
    assert state["count"] == 1


@pytest.mark.parametrize("status", [201, 302, 404, 503])
def test_an_answer_that_is_no_page_is_not_copied(status: int, page: tuple[Flask, dict[str, Any]]) -> None:
    app, state = page
    state["status"] = status
    assert [app.test_client().get("/api/page").status_code for _ in range(2)] == [status] * 2
    assert state["count"] == 2
    state["status"] = 200
    assert [app.test_client().get("/api/page").status_code for _ in range(2)] == [200] * 2
    assert state["count"] == 3


def test_a_page_whose_write_comes_while_it_is_rendered_does_not_stay(page: tuple[Flask, dict[str, Any]]) -> None:
    app, state = page

    def write() -> None:
        # The view has read "first" before, and answers with it.
        state["text"], state["meanwhile"] = "second", lambda: None
        invalidate("page:test")

    state["meanwhile"] = write
    assert app.test_client().get("/api/page").data == b"first"
    # Our own copy may be as old as any other process's, what all processes share may not.
    app.config["LOCAL_REFRESH_SECONDS"] = 0
    assert app.test_client().get("/api/page").data == b"second"


# Conditional requests.


@pytest.fixture(params=["own copy", "cache", "rendered"])
def known(request: pytest.FixtureRequest, app: Flask, monkeypatch: pytest.MonkeyPatch) -> tuple[Flask, str, bytes]:
    """An application whose next page comes from there, with the page's tag and text."""
    if request.param == "own copy":
        monkeypatch.setitem(app.config, "LOCAL_REFRESH_SECONDS", 600)
    first = app.test_client().get(LEVELS)
    if request.param == "rendered":
        with app.app_context():
            invalidate(LEVELS_PAGE_KEY)
    return app, first.headers["ETag"], first.data


OTHER = '"' + "0" * 32 + '"'
FULL: list[dict[str, str]] = [
    {},
    {"If-None-Match": OTHER},
    {"If-None-Match": f"W/{OTHER}, {OTHER}"},
    {"If-None-Match": "{bare}"},
    {"If-None-Match": '"'},
    {"If-None-Match": ""},
    {"If-None-Match": OTHER, "If-Modified-Since": "Fri, 31 Dec 2100 00:00:00 GMT"},
    # The page does not say when it was changed.
    {"If-Modified-Since": "Fri, 31 Dec 2100 00:00:00 GMT"},
    {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    {"If-Modified-Since": "yesterday"},
    {"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    {"If-Match": "{tag}"},
    {"Range": "bytes=0-3"},
    {"Range": "bytes=99999-"},
    {"Range": "lines=1-2", "If-Range": "{tag}"},
    {"Cache-Control": "no-cache"},
]
UNCHANGED: list[dict[str, str]] = [
    {"If-None-Match": "{tag}"},
    {"If-None-Match": "W/{tag}"},
    {"If-None-Match": "*"},
    {"If-None-Match": OTHER + ', {tag}, "x"'},
    {"If-None-Match": OTHER + ",W/{tag}"},
    {"If-None-Match": "{tag}", "If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    {"If-None-Match": "{tag}", "Range": "bytes=0-3"},
]


def filled(headers: dict[str, str], tag: str) -> dict[str, str]:
    return {name: value.replace("{tag}", tag).replace("{bare}", tag[1:-2]) for name, value in headers.items()}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", FULL)
def test_whoever_has_another_page_gets_the_whole_one(
    method: str, headers: dict[str, str], known: tuple[Flask, str, bytes]
) -> None:
    app, tag, body = known
    answer = app.test_client().open(LEVELS, method=method, headers=filled(headers, tag))
    assert answer.status_code == 200
    assert answer.data == (body if method == "GET" else b"")
    assert answer.headers["Content-Length"] == str(len(body))
    assert answer.headers["ETag"] == tag
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", UNCHANGED)
def test_whoever_has_this_page_is_told_so(
    method: str, headers: dict[str, str], known: tuple[Flask, str, bytes]
) -> None:
    app, tag, _ = known
    answer = app.test_client().open(LEVELS, method=method, headers=filled(headers, tag))
    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["ETag"] == tag
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert "Content-Type" not in answer.headers
    assert "Content-Length" not in answer.headers


def test_a_page_that_is_not_the_one_matched_fails_its_condition(known: tuple[Flask, str, bytes]) -> None:
    app, _, _ = known
    answer = app.test_client().get(LEVELS, headers={"If-Match": OTHER})
    assert answer.status_code == 412


def test_an_own_copy_is_not_changed_by_its_answers(keeping: Flask, client: FlaskClient) -> None:
    first = client.get(LEVELS)
    for headers in [*FULL, *UNCHANGED]:
        client.get(LEVELS, headers=filled(headers, first.headers["ETag"]))
    client.post(LEVELS)
    again = client.get(LEVELS)
    assert (again.status_code, again.data) == (200, first.data)
    assert again.headers["ETag"] == first.headers["ETag"]


def test_the_ranking_is_for_the_logged_in_alone_and_checked_each_time(keeping: Flask, people: People) -> None:
    man, woman = people.add(), people.woman()
    man.like(woman)
    for _ in range(2):
        answer = man.get(HOT)
        assert answer.headers["Cache-Control"] == "private, no-cache"
        known = man.client.get(HOT, headers={"If-None-Match": answer.headers["ETag"]})
        assert (known.status_code, known.data) == (304, b"")
    stranger = keeping.test_client()
    assert stranger.get(HOT).status_code == 401
    assert stranger.get(HOT, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 401
