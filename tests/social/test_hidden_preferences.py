"""Whom somebody wants to meet is hidden; nobody reads it from the difference that varying oneself makes."""

from typing import Any

import pytest
from flask import Flask

from swiper.extensions import db
from swiper.profiles.models import Sex
from swiper.profiles.profile_changes import correct_profile
from tests.factories import People, Person

WISHES = ("male", "female", "any")


def modify(person: Person, **changes: Any) -> Any:
    return person.post("/api/user/profile/modify", **changes)


def whole_deck(person: Person) -> set[int]:
    found: set[int] = set()
    for group in range(40):
        ids = person.deck(group)
        if not ids:
            break
        found |= set(ids)
    return found


def everything_seen(person: Person) -> dict[str, Any]:
    """All that an account without permissions learns about who is there for it."""
    empty = [person.get("/api/social/users", group_num=group).json["data"]["empty"] for group in (0, 30)]
    return {
        "deck": whole_deck(person),
        "empty": [told and (told["reason"], sorted(told["relax"])) for told in empty],
        "count": person.get("/api/social/liked_me/count").json["data"],
        "friends": set(person.friends()),
    }


@pytest.mark.parametrize("own_wish", WISHES)
@pytest.mark.parametrize("target_sex", ["male", "female"])
def test_an_attacker_who_changes_sex_learns_nothing_about_whom_anybody_wants(
    people: People, own_wish: str, target_sex: str
) -> None:
    """One target for each hidden wish; the attacker looks as a man, then as a woman, and varies all that is free."""
    targets = {wish: people.add(sex=target_sex, dating_sex=wish) for wish in WISHES}
    attacker = people.add(dating_sex=own_wish)
    # Whoever liked the first self must tell no more by being there for the second one.
    targets["any"].like(attacker)
    targets["male"].superlike(attacker)
    whole_deck(attacker)
    assert modify(attacker, sex="female").status_code == 200
    seen = []
    for wish in WISHES:
        assert modify(attacker, dating_sex=wish).status_code == 200
        seen.append(everything_seen(attacker))
        assert seen[-1]["deck"].isdisjoint({target.id for target in targets.values()}), wish
        assert seen[-1]["count"] == {"waiting": 0, "has_more": False}
        # Not even by what is said of an empty deck.
        assert {told and told[0] for told in seen[-1]["empty"]} == {"nobody_fits"}
        assert all(told[1] == [] for told in seen[-1]["empty"])
    # Nor by coming back, which takes an operator.
    assert modify(attacker, sex="male").json["code"] == 1002


def test_the_birthday_and_the_city_tell_nothing_either(people: People) -> None:
    targets = [people.woman(dating_sex=wish) for wish in WISHES]
    attacker = people.add()
    before = whole_deck(attacker)
    assert before == {targets[0].id, targets[2].id}
    assert modify(attacker, birthday="1950-01-01").status_code == 200
    assert whole_deck(attacker) == before
    assert modify(attacker, location="北京").status_code == 200
    assert whole_deck(attacker) == set()
    assert modify(attacker, location="上海").status_code == 200
    assert whole_deck(attacker) == before


def test_after_a_correction_newcomers_and_new_likers_are_met(people: People) -> None:
    earlier, later_liker = people.add(dating_sex="any"), people.add(dating_sex="any")
    person = people.add(dating_sex="male")
    later_liker.like(person)
    assert modify(person, sex="female").status_code == 200
    assert whole_deck(person) == set()
    newcomers = [people.add(dating_sex=wish) for wish in WISHES]
    assert whole_deck(person) == {newcomers[1].id, newcomers[2].id}
    # Who likes the person as they are now shows themself.
    assert earlier.like(person).status_code == 200
    assert person.get("/api/social/liked_me/count").json["data"]["waiting"] == 1
    assert person.deck()[0] == earlier.id
    assert whole_deck(person) == {earlier.id, newcomers[1].id, newcomers[2].id}


def test_a_sex_that_was_corrected_before_there_was_a_deck_costs_nothing(people: People) -> None:
    woman = people.woman()
    newcomer = people.add(is_complete=False)
    for changes in ({"sex": "female"}, {"birthday": "1995-05-20"}, {"sex": "male"}, {"location": "上海"}):
        assert modify(newcomer, **changes).status_code == 200
    assert whole_deck(newcomer) == {woman.id}


def test_an_operator_who_corrects_the_sex_lets_the_person_meet_everybody(app: Flask, people: People) -> None:
    woman, person = people.woman(dating_sex="any"), people.add(sex="female")
    assert modify(person, sex="male").status_code == 200
    assert whole_deck(person) == set()
    with app.app_context():
        correct_profile(person.id, sex=Sex.MALE)
        db.session.remove()
    assert whole_deck(person) == {woman.id}
