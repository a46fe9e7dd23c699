"""What one swipe does, and which swipes are refused."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from swiper.db.transactions import transactional
from swiper.extensions import db
from swiper.profiles.accounts import delete_account, set_status
from swiper.profiles.models import Status
from swiper.signals import matched, swiped
from swiper.social import swipes as module
from swiper.social.models import Friend, Swipe, SwipeKind
from swiper.social.swipes import Outcome
from swiper.vip.levels import vip_status_of
from tests.factories import People, Person


def used(person: Person, kind: str = "like") -> int:
    """How much of a daily quota somebody has used."""
    count: int = person.get("/api/vip/me").json["data"]["quotas"][kind]["used"]
    return count


def swipes(app: Flask) -> list[tuple[int, int, str]]:
    with app.app_context():
        return [(row.uid, row.sid, row.kind.value) for row in db.session.scalars(select(Swipe))]


def friendships(app: Flask) -> list[tuple[int, int]]:
    with app.app_context():
        return sorted((row.uid1, row.uid2) for row in db.session.scalars(select(Friend)))


@pytest.fixture
def man(people: People) -> Person:
    return people.add(vip=1)


@pytest.fixture
def woman(people: People) -> Person:
    return people.woman(vip=1)


def test_a_first_like_is_no_match(man: Person, woman: Person, app: Flask) -> None:
    answer = man.like(woman)
    assert (answer.status_code, answer.json) == (200, {"code": 0, "data": {"is_matched": False}})
    assert swipes(app) == [(man.id, woman.id, "like")]
    assert friendships(app) == []


@pytest.mark.parametrize("first", ["like", "superlike"])
@pytest.mark.parametrize("second", ["like", "superlike"])
def test_the_second_like_matches_both(first: str, second: str, man: Person, woman: Person, app: Flask) -> None:
    assert man.swipe(first, woman).json["data"] == {"is_matched": False}
    assert woman.swipe(second, man).json["data"] == {"is_matched": True}
    assert friendships(app) == [(man.id, woman.id)]
    assert (man.friends(), woman.friends()) == ([woman.id], [man.id])


@pytest.mark.parametrize(("first", "second"), [("dislike", "like"), ("like", "dislike"), ("dislike", "dislike")])
def test_a_dislike_never_matches(first: str, second: str, man: Person, woman: Person, app: Flask) -> None:
    assert man.swipe(first, woman).json["data"] == {"is_matched": False}
    assert woman.swipe(second, man).json["data"] == {"is_matched": False}
    assert friendships(app) == []


@pytest.mark.parametrize("kind", ["like", "superlike", "dislike"])
def test_nobody_swipes_themself(kind: str, man: Person, app: Flask) -> None:
    answer = man.swipe(kind, man)
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    assert answer.json["errors"] == {"sid": ["You cannot swipe yourself."]}
    assert swipes(app) == []


def _absent(app: Flask, uid: int) -> int:
    return uid + 1


def _deleted(app: Flask, uid: int) -> int:
    with app.app_context():
        delete_account(uid)
    return uid


def _suspended(app: Flask, uid: int) -> int:
    with app.app_context():
        set_status(uid, Status.SUSPENDED)
    return uid


@pytest.mark.parametrize("state", [_absent, _deleted, _suspended])
@pytest.mark.parametrize("kind", ["like", "superlike", "dislike"])
def test_somebody_who_is_not_there_cannot_be_swiped(
    kind: str, state: Any, man: Person, woman: Person, app: Flask
) -> None:
    answer = man.swipe(kind, state(app, woman.id))
    assert (answer.status_code, answer.json["code"]) == (404, 1009)
    assert swipes(app) == []
    assert (used(man), used(man, "superlike")) == (0, 0)


@pytest.mark.parametrize("kind", ["like", "superlike", "dislike"])
def test_the_same_swipe_again_is_answered_alike_and_free(kind: str, man: Person, woman: Person, app: Flask) -> None:
    told: list[Any] = []

    def note(_: Any, **swipe: Any) -> None:
        told.append(swipe)

    with swiped.connected_to(note):
        answers = [man.swipe(kind, woman) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.text for answer in answers}) == 1
    assert len(swipes(app)) == len(told) == 1
    assert used(man) + used(man, "superlike") == (kind != "dislike")


def test_the_first_like_sent_again_after_the_match_tells_of_the_match(man: Person, woman: Person) -> None:
    man.like(woman)
    woman.like(man)
    assert man.like(woman).json["data"] == {"is_matched": True}
    assert used(man) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [(a, b) for a in ("like", "superlike", "dislike") for b in ("like", "superlike", "dislike") if a != b],
)
def test_a_different_second_swipe_is_refused_and_free(
    first: str, second: str, man: Person, woman: Person, app: Flask
) -> None:
    man.swipe(first, woman)
    before = man.get("/api/vip/me").json["data"]["quotas"]
    answer = man.swipe(second, woman)
    assert (answer.status_code, answer.json["code"]) == (409, 1008)
    assert swipes(app) == [(man.id, woman.id, first)]
    assert man.get("/api/vip/me").json["data"]["quotas"] == before


def test_a_superlike_without_vip_is_refused_and_free(people: People, woman: Person, app: Flask) -> None:
    man = people.add()
    answer = man.superlike(woman)
    assert (answer.status_code, answer.json["code"]) == (403, 1004)
    assert swipes(app) == []
    assert used(man, "superlike") == 0


def test_a_match_is_signalled_once(man: Person, woman: Person) -> None:
    pairs = []

    def note(_: Any, uid: int, target_id: int) -> None:
        pairs.append((uid, target_id))

    with matched.connected_to(note):
        man.like(woman)
        woman.like(man)
        woman.like(man)
    assert pairs == [(woman.id, man.id)]


@pytest.mark.parametrize(
    "body", [{}, {"sid": ""}, {"sid": "x"}, {"sid": 0}, {"sid": -1}, {"sid": 2**63}, {"sid": True}]
)
def test_a_swipe_on_no_id_at_all_is_a_parameter_error(body: dict[str, Any], man: Person) -> None:
    answer = man.post("/api/social/like", **body)
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    assert "sid" in answer.json["errors"]


def test_an_unknown_field_is_refused(man: Person, woman: Person, app: Flask) -> None:
    answer = man.post("/api/social/like", sid=str(woman.id), uid=str(woman.id))
    assert (answer.status_code, answer.json["code"]) == (422, 1005)
    assert list(answer.json["errors"]) == ["uid"]
    assert swipes(app) == []


def test_the_first_clients_swipe_with_a_form(man: Person, woman: Person, app: Flask) -> None:
    answer = man.client.post("/api/social/like", data={"sid": str(woman.id)})
    assert answer.json == {"code": 0, "data": {"is_matched": False}}
    assert swipes(app) == [(man.id, woman.id, "like")]


def test_a_swiper_whose_account_is_gone_meanwhile_leaves_nothing(man: Person, woman: Person, app: Flask) -> None:
    man.get("/api/user/profile")  # The account is cached now, as for a request that is already on its way.
    with app.app_context():
        delete_account(woman.id)
    answer = woman.like(man)
    assert answer.json["code"] in (1001, 1009)
    assert swipes(app) == []


def test_a_repeat_that_meets_a_rewind_is_stored_anew(
    app: Flask, people: People, woman: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The swipe is there when the repeat begins, and taken back before it looks again."""
    man = people.add(vip=2)
    man.like(woman)
    look, met = module._stored_outcome, []

    def rewind_before(uid: int, target_id: int, kind: SwipeKind) -> Outcome | None:
        if not met:
            met.append(target_id)
            module.rewind(uid, vip_status_of(uid))
        return look(uid, target_id, kind)

    monkeypatch.setattr(module, "_stored_outcome", rewind_before)
    assert man.like(woman).json == {"code": 0, "data": {"is_matched": False}}
    assert met == [woman.id]
    assert swipes(app) == [(man.id, woman.id, "like")]


def test_a_swipe_refuses_to_join_another_transaction(app: Flask, man: Person, woman: Person) -> None:
    """What it undoes would be undone for the other one, too."""

    @transactional
    def swipe_inside() -> None:
        module.swipe(man.id, woman.id, SwipeKind.LIKE, vip_status_of(man.id))

    with app.app_context(), pytest.raises(RuntimeError, match="one of its own"):
        swipe_inside()
    assert swipes(app) == []
