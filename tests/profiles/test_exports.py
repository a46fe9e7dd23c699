"""Exports are streamed: once an hour, in pages, and whole or visibly broken off."""

import functools
import itertools
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from swiper.db import row_pages
from swiper.extensions import db, redis
from swiper.ids import new_id
from swiper.profiles import exports
from swiper.social.models import Swipe, SwipeKind
from swiper.vip.models import Order
from tests.factories import People, Person, at_once

EXPORT = "/api/user/export"


@pytest.fixture
def man(people: People) -> Person:
    return people.add()


def fill(app: Flask, person: Person, count: int) -> list[str]:
    """Give somebody `count` orders and swipes; the orders' ids."""
    ids = sorted(new_id() for _ in range(count))
    if not count:
        return []
    with app.app_context():
        rows = [
            {"id": one, "uid": person.id, "level": 1, "months": 1, "amount_cents": 500, "provider": "sandbox"}
            for one in ids
        ]
        db.session.execute(db.insert(Order), rows)
        swipes = [{"uid": person.id, "sid": one, "kind": SwipeKind.DISLIKE} for one in ids]
        db.session.execute(db.insert(Swipe), swipes)
        db.session.commit()
    return [str(one) for one in ids]


def ask(person: Person) -> Any:
    return person.client.get(EXPORT, headers={"X-Confirm-Code": person.fresh_code()}, buffered=False)


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1_200])
def test_every_row_is_told_once_however_many_there_are(count: int, man: Person, app: Flask) -> None:
    ids = fill(app, man, count)
    data = man.export().json["data"]
    assert [row["id"] for row in data["orders"]] == ids
    assert [row["sid"] for row in data["swipes"]] == ids


def test_no_piece_is_larger_than_a_page_and_nothing_is_read_ahead(
    man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(app, man, 2_000)
    told = row_pages._plain
    count = itertools.count()
    monkeypatch.setattr("swiper.db.row_pages._plain", lambda value: (next(count), told(value))[1])
    answer = ask(man)
    assert answer.is_streamed
    pieces = iter(answer.response)
    first = next(pieces)
    read_at_first = next(count)
    rest = list(pieces)
    assert read_at_first < 500 < next(count)
    assert max(map(len, rest)) < 500 * 500
    assert len(json.loads(first + b"".join(rest))["data"]["orders"]) == 2_000
    answer.close()


def test_one_export_an_hour(man: Person, people: People, app: Flask) -> None:
    assert man.export().status_code == 200
    again = man.export()
    assert (again.status_code, again.json["code"]) == (429, 1006)
    assert 3_500 < int(again.headers["Retry-After"]) <= 3_600
    assert people.add().export().status_code == 200


def test_exports_at_the_same_moment_are_one(man: Person, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swiper.auth.routes._confirmed", lambda code, act: act())
    clients = [people.client_of(man.id) for _ in range(6)]
    answers = at_once([functools.partial(client.get, EXPORT, buffered=True) for client in clients])
    assert sorted(answer.status_code for answer in answers) == [200] + [429] * 5


def fail_at(monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """Let the database be away from the given page on."""
    real, count = db.session.execute, itertools.count()

    def execute(*args: Any, **kwargs: Any) -> Any:
        if " LIMIT " in str(args[0]) and next(count) >= page:
            raise OperationalError("SELECT", {}, Exception("gone"), connection_invalidated=True)
        return real(*args, **kwargs)

    monkeypatch.setattr("swiper.db.row_pages.db.session.execute", execute)


def test_an_export_that_fails_from_the_start_is_an_error_and_may_be_asked_for_again(
    man: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    with monkeypatch.context() as broken:
        broken.setattr("swiper.db.row_pages._plain", fail)
        answer = man.export()
        assert (answer.status_code, answer.json["code"]) == (503, 1011)
    assert man.export().status_code == 200


def test_an_export_that_fails_half_way_is_broken_off_and_may_be_asked_for_again(
    man: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(app, man, 1_200)
    told: list[bytes] = []
    with monkeypatch.context() as broken:
        answer = ask(man)
        fail_at(broken, 3)
        with pytest.raises(ConnectionResetError):
            told.extend(answer.response)
    assert told
    with pytest.raises(ValueError, match=r"."):
        json.loads(b"".join(told))
    answer.close()
    assert len(man.export().json["data"]["orders"]) == 1_200


def test_whoever_hangs_up_has_had_their_export(man: Person, app: Flask) -> None:
    fill(app, man, 1_200)
    answer = ask(man)
    next(iter(answer.response))
    answer.close()
    assert man.export().status_code == 429


def test_an_export_whose_process_is_killed_leaves_its_turn_after_a_minute(man: Person, app: Flask) -> None:
    with app.app_context():
        exports._Lease(man.id)
        assert 0 < redis.client.pttl(f"{{u:{man.id}}}:export") <= 60_000


def test_what_was_made_before_the_export_is_told_in_its_words(man: Person, app: Flask) -> None:
    fill(app, man, 1)
    with app.app_context():
        db.session.execute(db.update(Order).values(created_at=datetime(2026, 3, 10, 4, tzinfo=UTC)))
        db.session.commit()
    (row,) = man.export().json["data"]["orders"]
    assert (row["created_at"], row["uid"], row["state"]) == ("2026-03-10T04:00:00+00:00", str(man.id), "pending")
    assert (row["sale_id"], row["paid_at"], row["amount_cents"]) == (None, None, 500)
