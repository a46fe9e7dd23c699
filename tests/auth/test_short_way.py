"""PostgreSQL's short way makes of accounts what SQLAlchemy makes of them; elsewhere there is only one way."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from swiper.auth import login
from swiper.auth.login import find_or_create
from swiper.auth.models import Phone
from swiper.db.transactions import transactional
from swiper.extensions import db
from swiper.profiles import profiles, public_cards
from swiper.profiles.accounts import set_status
from swiper.profiles.models import DatingSex, Nickname, Preferences, Status, Upload, UploadKind, User
from swiper.profiles.nicknames import first_nickname
from swiper.profiles.profiles import load_account
from swiper.profiles.public_cards import cards_of
from tests.factories import People, Person


@contextmanager
def long_way() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (login, profiles, public_cards):
            patch.setattr(module, "quick_lane", lambda: None)
        yield


@transactional
def fill_in(person: Person) -> None:
    user, preferences = db.session.get_one(User, person.id), db.session.get_one(Preferences, person.id)
    user.nickname, user.bio, user.avatar = "名字 'quoted' \\", "line\nline", "https://example.org/a.jpg"
    user.birthday = date(1996, 2, 29)
    preferences.dating_sex, preferences.dating_location = DatingSex.ANY, "深圳"
    preferences.max_distance, preferences.vibration = 77, False
    for number, kind in enumerate((UploadKind.PHOTO, UploadKind.AVATAR, UploadKind.PHOTO), 1):
        db.session.add(Upload(uid=person.id, id=number, kind=kind, key=f"{number}", url=f"/media/{number}"))


@transactional
def fill_in_album(person: Person) -> None:
    db.session.get_one(Preferences, person.id).only_match = False
    db.session.add(Upload(uid=person.id, id=9, kind=UploadKind.PHOTO, key="9", url="/media/9"))


@pytest.mark.parametrize("vip", [0, 3])
def test_an_account_is_the_same_by_either_way(app: Flask, people: People, vip: int) -> None:
    person = people.add(vip=vip)
    with app.app_context():
        fill_in(person)
        found = load_account(person.id)
        with long_way():
            assert found == load_account(person.id)
        assert found is not None
        assert found.photos == ((1, "/media/1"), (3, "/media/3"))
        assert (found.vip_level, found.vip_expires_at is not None) == (vip, bool(vip))


def test_an_account_with_nothing_filled_in_is_the_same_by_either_way(app: Flask) -> None:
    with app.app_context():
        uid = find_or_create("+8613800138000").id
        found = load_account(uid)
        with long_way():
            assert found == load_account(uid)
        assert load_account(uid + 1) is None


def test_cards_are_the_same_by_either_way(app: Flask, people: People) -> None:
    """One with everything, whose album is for friends; one whose album is for all; one with nothing; one suspended."""
    shy, open_one, gone = people.add(vip=3), people.woman(vip=1), people.woman()
    with app.app_context():
        fill_in(shy)
        fill_in_album(open_one)
        bare = find_or_create("+8613800138000").id
        set_status(gone.id, Status.SUSPENDED)
        asked = [open_one.id, bare, gone.id, shy.id, 5]
        for friends in ((), {shy.id}):
            found = cards_of(asked, friends)
            with long_way():
                assert found == cards_of(asked, friends)
            assert [card["id"] for card in found] == [open_one.id, bare, shy.id]
            assert [len(card["photos"]) for card in found] == [1, 0, 2 if friends else 0]


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
        with long_way():
            assert made == made_for("+8613800138001")
