"""Decks that begin with an id show people with lower ids only if they have liked the caller since that id was made."""

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import update

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.extensions import db
from swiper.ids import new_id
from swiper.profiles.models import User
from swiper.social import candidates
from swiper.social.candidates import fitting_cards, likers_and_cards, still_fitting, unseen_candidates
from swiper.social.deck_session import DeckCriteria, criteria_of
from swiper.social.empty_deck import fits_anyone, has_more_unseen
from swiper.vip.levels import vip_status_of
from tests.factories import People, Person


@transactional
def begin_deck_now(person: Person) -> None:
    db.session.execute(update(User).where(User.id == person.id).values(deck_from=new_id()))


def own_criteria(people: People, person: Person) -> DeckCriteria:
    return criteria_of(people.account(person), vip_status_of(person.id))


@pytest.mark.parametrize("is_single_node", [False, True])
def test_nobody_is_lost_however_many_have_liked(
    app: Flask, people: People, monkeypatch: pytest.MonkeyPatch, is_single_node: bool
) -> None:
    """The caller has answered those who liked last; a page holds fewer than there are."""
    database = app.extensions["database"]
    monkeypatch.setattr(database, "is_single_node", database.is_single_node and is_single_node)
    monkeypatch.setattr(candidates, "MAX_CHUNK", 2)
    man, early = people.add(vip=2), people.woman()
    early.like(man)
    women = [people.woman() for _ in range(7)]
    with app.app_context():
        begin_deck_now(man)
    late = people.woman()
    for woman in women:
        woman.like(man)
    for woman in women[2:]:
        man.dislike(woman)
    wanted = {women[0].id, women[1].id, late.id}
    with app.app_context():
        criteria = own_criteria(people, man)
        assert criteria.from_id
        asked = [early.id, *(woman.id for woman in women), late.id]
        assert {uid for _, uid in unseen_candidates(criteria)} == wanted
        cursors = list(unseen_candidates(criteria))
        assert list(unseen_candidates(criteria, cursors[0])) == cursors[1:]
        assert set(still_fitting(criteria, asked)) == wanted
        assert set(fitting_cards(criteria, asked, 20)) == wanted
        likers, cards = likers_and_cards(criteria, asked, 20)
        assert (likers, set(cards)) == ([women[0].id, women[1].id], wanted)
        assert fits_anyone(criteria)


def test_older_likers_count_where_nobody_else_is(app: Flask, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "MAX_CHUNK", 2)
    man, women = people.add(), [people.woman() for _ in range(3)]
    with app.app_context():
        begin_deck_now(man)
        criteria = own_criteria(people, man)
        wider = replace(criteria, born_after=criteria.born_after.replace(year=1900))
        narrow = replace(criteria, born_until=criteria.born_after)
        assert not fits_anyone(criteria)
        assert not has_more_unseen(narrow, wider)
    for woman in women:
        woman.like(man)
    assert man.get("/api/social/liked_me/count").json["data"] == {"waiting": 3, "has_more": False}
    with app.app_context():
        assert fits_anyone(criteria)
        assert not fits_anyone(narrow)
        assert has_more_unseen(narrow, wider)
        assert not has_more_unseen(wider, wider)
    assert now() > criteria.from_moment
