"""Accounts and cards as they are read from the tables, outside of a transaction and inside of one."""

from datetime import date

import pytest
from flask import Flask

from swiper.auth.login import find_or_create
from swiper.db.transactions import transactional
from swiper.extensions import db
from swiper.profiles.accounts import set_status
from swiper.profiles.cards import cards_of
from swiper.profiles.models import DatingSex, Preferences, Sex, Status, Upload, UploadKind, User
from swiper.profiles.profiles import load_account
from tests.factories import People, Person


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
def test_an_account_is_read_whole(app: Flask, people: People, vip: int) -> None:
    person = people.add(vip=vip)
    with app.app_context():
        fill_in(person)
        found = load_account(person.id)
        assert transactional(load_account)(person.id) == found
        assert found is not None
        assert found.photos == ((1, "/media/1"), (3, "/media/3"))
        assert (found.nickname, found.bio) == ("名字 'quoted' \\", "line\nline")
        assert (found.birthday, found.sex, found.status) == (date(1996, 2, 29), Sex.MALE, Status.ACTIVE)
        assert (found.dating_sex, found.dating_location) == (DatingSex.ANY, "深圳")
        assert (found.max_distance, found.vibration, found.only_match, found.is_robot) == (77, False, True, False)
        assert (found.vip_level, found.vip_expires_at is not None) == (vip, bool(vip))


def test_an_account_with_nothing_filled_in_is_read_whole(app: Flask) -> None:
    with app.app_context():
        uid = find_or_create("+8613800138000").id
        found = load_account(uid)
        assert transactional(load_account)(uid) == found
        assert (found.sex, found.birthday, found.location, found.dating_sex, found.photos) == (
            None,
            None,
            None,
            None,
            (),
        )
        assert load_account(uid + 1) is None


def test_cards_show_what_their_owners_let_others_see(app: Flask, people: People) -> None:
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
            assert transactional(cards_of)(asked, friends) == found
            assert [card["id"] for card in found] == [open_one.id, bare, shy.id]
            assert [len(card["photos"]) for card in found] == [1, 0, 2 if friends else 0]
