"""One PostgreSQL server makes of a first login, in one statement, what several steps make of it elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from swiper.auth import login
from swiper.auth.login import find_or_create
from swiper.auth.models import Phone
from swiper.db.transactions import transactional
from swiper.extensions import db
from swiper.ids import new_id
from swiper.profiles.models import Nickname, Preferences, User
from swiper.profiles.nicknames import first_nickname
from swiper.profiles.profiles import load_account


@contextmanager
def in_steps(app: Flask) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.extensions["database"], "is_single_node", False)
        yield


def row_of(model: Any, condition: Any) -> dict[str, Any]:
    return dict(db.session.execute(select(model.__table__).where(condition)).mappings().one())


def made_for(phone: str) -> dict[str, Any]:
    account = find_or_create(phone)
    uid = account.id
    assert find_or_create(phone) == account == load_account(uid), "a second login finds the first one's account"
    own = {model: row_of(model, model.uid == uid) for model in (Preferences, Phone, Nickname)}
    user = row_of(User, User.id == uid)
    assert user.pop("nickname") == own[Nickname].pop("folded") == first_nickname(uid)
    assert user.pop("phone") == own[Phone].pop("phone") == phone
    assert {str(user.pop("id")), *(str(row.pop("uid")) for row in own.values())} == {str(uid)}
    assert user.pop("created_at")
    return {"user": user, "status": account.status, "own": {model.__name__: row for model, row in own.items()}}


def test_a_first_login_makes_the_same_rows_by_either_way(app: Flask) -> None:
    with app.app_context():
        made = made_for("+8613800138000")
        with in_steps(app):
            assert made == made_for("+8613800138001")


def test_a_first_nickname_that_is_taken_gives_way_to_another(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [new_id() for _ in range(3)]
    with app.app_context():
        add_nickname(first_nickname(ids[0]))
        monkeypatch.setattr(login, "new_id", iter(ids).__next__)
        account = find_or_create("+8613800138000")
        assert (account.id, account.nickname) == (ids[1], first_nickname(ids[1]))


@transactional
def add_nickname(folded: str) -> None:
    db.session.add(Nickname(folded=folded, uid=1))
