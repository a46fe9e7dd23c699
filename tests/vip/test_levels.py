"""Levels and what they unlock."""

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select, update

from swiper.clock import today
from swiper.extensions import db
from swiper.vip.levels import seed_levels
from swiper.vip.models import LevelPermission, Permission, Quota, QuotaKind, VipLevel, VipPermission
from tests.factories import Clock, People, Person, forget_levels

NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)


# As the specification has it.
UNLOCKS = {
    "vipflag": {1, 3},
    "superlike": {1, 2, 3},
    "rewind": {2, 3},
    "anylocation": {3},
    "unlimit_like": {2, 3},
    "who_liked_me": {3},
}


LEVELS = [
    {"level": 0, "name": "会员-0", "price": 0.0, "permissions": []},
    {"level": 1, "name": "会员-1", "price": 5.0, "permissions": ["vipflag", "superlike"]},
    {"level": 2, "name": "会员-2", "price": 10.0, "permissions": ["superlike", "rewind", "unlimit_like"]},
    {"level": 3, "name": "会员-3", "price": 15.0, "permissions": list(UNLOCKS)},
]


# The page.


def test_levels_are_told_to_everyone(app: Flask) -> None:
    answer = app.test_client().get("/api/vip/levels")
    assert answer.json == {"code": 0, "data": LEVELS}
    assert "public" in answer.headers["Cache-Control"]
    assert "max-age" in answer.headers["Cache-Control"]
    assert "Set-Cookie" not in answer.headers


def test_the_page_is_kept_until_a_change_is_announced(app: Flask) -> None:
    client = app.test_client()
    first = client.get("/api/vip/levels")
    with app.app_context():
        db.session.execute(update(VipLevel).where(VipLevel.level == 1).values(price_cents=700))
        db.session.commit()
    assert client.get("/api/vip/levels").data == first.data
    known = client.get("/api/vip/levels", headers={"If-None-Match": first.headers["ETag"]})
    assert (known.status_code, known.data) == (304, b"")
    with app.app_context():
        forget_levels()
    fresh = client.get("/api/vip/levels", headers={"If-None-Match": first.headers["ETag"]})
    assert fresh.json["data"][1]["price"] == 7.0


def test_seeding_announces_its_change(app: Flask) -> None:
    client = app.test_client()
    with app.app_context():
        db.session.execute(delete(VipLevel).where(VipLevel.level == 3))
        db.session.commit()
        forget_levels()
    assert len(client.get("/api/vip/levels").json["data"]) == 3
    with app.app_context():
        seed_levels()
    assert client.get("/api/vip/levels").json["data"] == LEVELS


def test_seeding_again_keeps_what_an_operator_has_changed(app: Flask) -> None:
    with app.app_context():
        db.session.execute(update(VipLevel).where(VipLevel.level == 2).values(name="Gold", price_cents=999))
        taken = (LevelPermission.level == 1, LevelPermission.permission == "superlike")
        db.session.execute(delete(LevelPermission).where(*taken))
        db.session.add(LevelPermission(level=0, permission="rewind"))
        db.session.execute(update(VipPermission).where(VipPermission.name == "rewind").values(description="undo"))
        db.session.commit()
        seed_levels()
        seed_levels()
        levels = {row.level: (row.name, row.price_cents) for row in db.session.scalars(select(VipLevel))}
        assert levels == {0: ("会员-0", 0), 1: ("会员-1", 500), 2: ("Gold", 999), 3: ("会员-3", 1500)}
        granted = {(row.level, row.permission) for row in db.session.scalars(select(LevelPermission))}
        seeded = {(level, name) for name, numbers in UNLOCKS.items() for level in numbers}
        assert granted == seeded - {(1, "superlike")} | {(0, "rewind")}
        assert db.session.get_one(VipPermission, "rewind").description == "undo"


# What a level unlocks, seen from outside.


def _vipflag(people: People, app: Flask, vip: int) -> bool:
    card = people.woman().get(f"/api/user/{people.add(vip=vip).id}").json["data"]
    badge: bool = card["vip"]["badge"]
    assert card["vip"] == {"level": vip, "name": f"会员-{vip}", "badge": badge}
    return badge


def _refused(answer: Any) -> bool:
    assert (answer.status_code, answer.json["code"]) in ((200, 0), (403, 1004))
    return answer.status_code == 403


def _superlike(people: People, app: Flask, vip: int) -> bool:
    return not _refused(people.add(vip=vip).superlike(people.woman()))


def _rewind(people: People, app: Flask, vip: int) -> bool:
    man = people.add(vip=vip)
    man.like(people.woman())
    return not _refused(man.post("/api/social/rewind"))


def _anylocation(people: People, app: Flask, vip: int) -> bool:
    man, far = people.add(vip=vip), people.woman(location="北京")
    is_refused = _refused(man.post("/api/user/profile/modify", dating_location="北京"))
    assert man.deck() == ([] if is_refused else [far.id])
    return not is_refused


def _unlimit_like(people: People, app: Flask, vip: int) -> bool:
    man, woman = people.add(vip=vip), people.woman()
    with app.app_context():
        db.session.add(Quota(uid=man.id, kind=QuotaKind.LIKE, day=today(), used=50))
        db.session.commit()
    answer = man.like(woman)
    assert answer.status_code in (200, 429)
    is_free: bool = answer.status_code == 200
    return is_free


def _who_liked_me(people: People, app: Flask, vip: int) -> bool:
    return not _refused(people.add(vip=vip).get("/api/social/liked_me"))


CHECKS = {
    "vipflag": _vipflag,
    "superlike": _superlike,
    "rewind": _rewind,
    "anylocation": _anylocation,
    "unlimit_like": _unlimit_like,
    "who_liked_me": _who_liked_me,
}


@pytest.mark.parametrize("vip", [0, 1, 2, 3])
@pytest.mark.parametrize("permission", list(UNLOCKS))
def test_each_permission_is_enforced_on_each_level(permission: str, vip: int, people: People, app: Flask) -> None:
    assert CHECKS[permission](people, app, vip) == (vip in UNLOCKS[permission])


@pytest.mark.parametrize("permission", list(UNLOCKS))
def test_a_permission_is_a_row_that_an_operator_gives_and_takes(permission: str, people: People, app: Flask) -> None:
    with app.app_context():
        db.session.execute(delete(LevelPermission).where(LevelPermission.level == 3))
        db.session.add(LevelPermission(level=0, permission=permission))
        db.session.commit()
        forget_levels()
    assert CHECKS[permission](people, app, 0)
    assert not CHECKS[permission](people, app, 3)


def test_an_expired_level_unlocks_nothing(people: People, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, NOON)
    man, woman = people.add(vip=3), people.woman()
    clock.moment = datetime(2026, 4, 10, 3, 59, 59, tzinfo=UTC)
    assert man.get("/api/social/liked_me").status_code == 200
    clock.advance(seconds=1)
    assert man.get("/api/social/liked_me").status_code == 403
    assert man.superlike(woman).status_code == 403
    assert man.post("/api/social/rewind").status_code == 403
    assert woman.get(f"/api/user/{man.id}").json["data"]["vip"] == {"level": 0, "name": "会员-0", "badge": False}


def test_the_own_membership(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, NOON)
    assert people.add(vip=2).get("/api/vip/me").json["data"] == {
        "level": 2,
        "name": "会员-2",
        "expires_at": "2026-04-10T04:00:00+00:00",
        "permissions": ["superlike", "rewind", "unlimit_like"],
        "quotas": {
            "like": {"limit": None, "used": 0, "left": None},
            "superlike": {"limit": 5, "used": 0, "left": 5},
            "rewind": {"limit": 3, "used": 0, "left": 3},
        },
        "resets_at": "2026-03-10T16:00:00+00:00",
    }


def test_nobodys_membership_is_level_zero(people: People) -> None:
    shown = people.add().get("/api/vip/me").json["data"]
    assert (shown["level"], shown["expires_at"], shown["permissions"]) == (0, None, [])


def test_every_permission_is_seeded(app: Flask) -> None:
    with app.app_context():
        assert {row.name for row in db.session.scalars(select(VipPermission))} == {p.value for p in Permission}


def test_a_level_that_was_removed_unlocks_nothing(people: People, app: Flask) -> None:
    man: Person = people.add(vip=3)
    with app.app_context():
        db.session.execute(delete(VipLevel).where(VipLevel.level == 3))
        db.session.commit()
        forget_levels()
    assert man.get("/api/vip/me").json["data"]["permissions"] == []
    assert man.get("/api/social/liked_me").status_code == 403


def test_a_permission_of_the_operators_own_is_shown_last(app: Flask) -> None:
    with app.app_context():
        db.session.add(VipPermission(name="a_new_one", description="not in this version"))
        db.session.flush()
        db.session.add(LevelPermission(level=3, permission="a_new_one"))
        db.session.commit()
        forget_levels()
    levels = app.test_client().get("/api/vip/levels").json["data"]
    assert levels[3]["permissions"] == [*UNLOCKS, "a_new_one"]
