"""Ready-made cards: every write is seen in the next deck, nothing private is kept, writes at once lose nothing."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import delete, select, update

from swiper.extensions import db
from swiper.profiles import cards, upload_pushes, uploads
from swiper.profiles.accounts import set_status
from swiper.profiles.models import Discovery, Status, Upload, UploadKind
from swiper.profiles.profile_changes import change_profile
from swiper.profiles.profiles import photos_of
from swiper.storage import ObjectStore
from swiper.vip.levels import vip_status_of
from swiper.vip.memberships import expire_memberships, grant
from swiper.vip.models import LevelPermission, Membership, Permission, VipLevel
from tests.factories import Clock, People, Person, forget_levels
from tests.profiles.test_profiles import CARD

MakeApp = Callable[..., Flask]
KINDS = ["null", "simple", "file", "redis"]
NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)


class PublicStore(ObjectStore):
    """A remote store that takes everything."""

    name = "public"

    def put(self, key: str, data: bytes, content_type: str) -> None:
        assert data

    def delete(self, key: str) -> None:
        pass

    def url(self, key: str) -> str:
        return f"https://cdn.example/{key}"


class Scene:
    """A man who wants to see people of any sex and age, and two women; one of them changes."""

    def __init__(self, app: Flask, clock: Clock) -> None:
        self.app, self.clock, self.people = app, clock, People(app)
        self.man = self.people.add(dating_sex="any", max_dating_age=100)
        self.she = self.people.woman(bio="before", dating_sex="any")
        self.people.woman()

    def cards(self) -> dict[str, Any]:
        """The first group of a new deck session and of one that continues, by id."""
        first, second = ({card["id"]: card for card in self._deck()} for _ in range(2))
        assert first == second
        return first

    def _deck(self) -> list[dict[str, Any]]:
        answer = self.man.get("/api/social/users")
        assert answer.status_code == 200
        found: list[dict[str, Any]] = answer.json["data"]["users"]
        return found

    def card(self) -> dict[str, Any]:
        """Her card, the same in the deck and by her id."""
        answer = self.man.get(f"/api/user/{self.she.id}")
        assert answer.status_code == 200
        card: dict[str, Any] = answer.json["data"]
        assert self.cards()[str(self.she.id)] == card
        return card

    def modify(self, person: Person, **changes: Any) -> None:
        assert person.post("/api/user/profile/modify", **changes).status_code == 200

    def service(self, call: Callable[..., Any], *args: Any) -> Any:
        with self.app.app_context():
            done = call(*args)
            db.session.remove()
        return done

    def picture(self, kind: str) -> dict[str, Any]:
        data = BytesIO()
        Image.new("RGB", (32, 32), "red").save(data, "JPEG")
        data.seek(0)
        path = "/api/user/avatar/upload" if kind == "avatar" else "/api/user/photos"
        answer = self.she.client.post(path, data={kind: (data, "p.jpg")})
        assert answer.status_code == 201, answer.json
        found: dict[str, Any] = answer.json["data"]
        return found

    def change_rows(self, *statements: Any) -> None:
        """What an operator does, by hand."""
        with self.app.app_context():
            for statement in statements:
                db.session.execute(statement)
            db.session.commit()
            forget_levels()
            db.session.remove()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch, NOON)


@pytest.fixture(params=[*KINDS, "away"])
def scene(request: pytest.FixtureRequest, build: MakeApp, clock: Clock) -> Scene:
    """On each kind of cache, and on one that does not answer: accounts and levels are kept there."""
    made = build("redis" if request.param == "away" else request.param)
    if request.param == "away":
        made.extensions["cache_away_until"] = float("inf")
    return Scene(made, clock)


@pytest.fixture
def usual(app: Flask, clock: Clock) -> Scene:
    return Scene(app, clock)


def test_a_changed_profile_is_on_the_next_card(scene: Scene) -> None:
    assert scene.card()["bio"] == "before"
    for name, value in (("nickname", "小红"), ("bio", "后来"), ("sex", "male")):
        scene.modify(scene.she, **{name: value})
        assert scene.card()[name] == value
    scene.modify(scene.she, birthday="1990-03-10")
    assert scene.card()["age"] == 36
    scene.modify(scene.she, location="北京")
    assert str(scene.she.id) not in scene.cards()
    scene.modify(scene.man, location="北京")
    assert scene.card()["location"] == "北京"


def test_midnight_makes_people_older(scene: Scene) -> None:
    scene.modify(scene.she, birthday="1990-03-11")
    assert scene.card()["age"] == 35
    scene.clock.moment = datetime(2026, 3, 10, 15, 59, 59, tzinfo=UTC)
    assert scene.card()["age"] == 35
    scene.clock.advance(seconds=1)
    assert scene.card()["age"] == 36


@pytest.mark.parametrize(
    ("day", "age"), [((2026, 2, 28), 21), ((2026, 3, 1), 22), ((2028, 2, 28), 23), ((2028, 2, 29), 24)]
)
def test_who_was_born_on_a_leap_day_is_older_from_that_day_or_the_next(
    usual: Scene, day: tuple[int, int, int], age: int
) -> None:
    usual.modify(usual.she, birthday="2004-02-29")
    usual.clock.moment = datetime(*day, 4, tzinfo=UTC)
    assert usual.card()["age"] == age


def test_pictures_come_and_go_on_the_next_card(scene: Scene) -> None:
    scene.modify(scene.she, only_match=False)
    before = scene.card()
    assert before["photos"] == []
    assert scene.picture("avatar")["url"] == scene.card()["avatar"] != before["avatar"]
    photos = [scene.picture("photo") for _ in range(2)]
    assert scene.card()["photos"] == photos
    scene.she.client.delete(f"/api/user/photos/{photos[0]['id']}")
    assert scene.card()["photos"] == photos[1:]
    # Hidden, and shown again.
    scene.modify(scene.she, only_match=True)
    assert scene.card()["photos"] == []
    scene.modify(scene.she, only_match=False)
    assert scene.card()["photos"] == photos[1:]


def test_a_pushed_picture_is_shown_from_the_store_on_the_next_card(scene: Scene) -> None:
    scene.app.extensions["storage"] = PublicStore(scene.app.config)
    scene.modify(scene.she, only_match=False)
    avatar, photo = scene.picture("avatar"), scene.picture("photo")
    assert scene.card()["avatar"].startswith("/")
    for picture in (avatar, photo):
        scene.service(upload_pushes.push_upload, scene.she.id, int(picture["id"]))
        assert scene.card()["id"] == str(scene.she.id)
    card = scene.card()
    assert card["avatar"].startswith("https://cdn.example/")
    assert card["photos"][0]["url"].startswith("https://cdn.example/")


def test_the_badge_follows_the_membership(scene: Scene) -> None:
    assert scene.card()["vip"] == {"level": 0, "name": "会员-0", "badge": False}
    scene.service(grant, scene.she.id, 1, 1)
    assert scene.card()["vip"] == {"level": 1, "name": "会员-1", "badge": True}
    ends_at = scene.service(lambda: db.session.get_one(Membership, scene.she.id).expires_at)
    scene.service(grant, scene.she.id, 1, 1)
    scene.clock.moment = ends_at
    assert scene.card()["vip"]["badge"] is True
    ends_at = scene.service(lambda: db.session.get_one(Membership, scene.she.id).expires_at)
    scene.clock.moment = ends_at.replace(microsecond=0)
    scene.card()
    scene.clock.moment = ends_at
    # Nobody has written anything.
    assert scene.card()["vip"] == {"level": 0, "name": "会员-0", "badge": False}
    assert scene.service(expire_memberships) == [scene.she.id]
    assert scene.card()["vip"]["level"] == 0
    scene.service(grant, scene.she.id, 2, 1)
    assert scene.card()["vip"] == {"level": 2, "name": "会员-2", "badge": False}
    scene.service(grant, scene.she.id, 3, 1)
    assert scene.card()["vip"] == {"level": 3, "name": "会员-3", "badge": True}


def test_an_operators_change_of_the_levels_is_on_the_next_cards(scene: Scene) -> None:
    scene.service(grant, scene.she.id, 1, 1)
    assert scene.card()["vip"]["badge"] is True
    scene.change_rows(update(VipLevel).where(VipLevel.level == 1).values(name="银卡"))
    assert scene.card()["vip"] == {"level": 1, "name": "银卡", "badge": True}
    taken = (LevelPermission.level == 1, LevelPermission.permission == Permission.VIPFLAG.value)
    scene.change_rows(delete(LevelPermission).where(*taken))
    assert scene.card()["vip"] == {"level": 1, "name": "银卡", "badge": False}
    scene.change_rows(update(VipLevel).where(VipLevel.level == 0).values(name="访客"))
    assert {card["vip"]["name"] for card in scene.cards().values()} == {"银卡", "访客"}


def test_an_album_that_a_friend_has_seen_is_in_no_strangers_card(scene: Scene) -> None:
    friend, photo = scene.people.add(), scene.picture("photo")
    friend.like(scene.she)
    scene.she.like(friend)
    for _ in range(2):
        assert friend.get(f"/api/user/{scene.she.id}").json["data"]["photos"] == [photo]
        assert friend.get("/api/social/friends").json["data"]["items"][0]["photos"] == [photo]
        assert scene.card()["photos"] == []


def test_nothing_private_is_in_the_kept_card(usual: Scene) -> None:
    # A nickname of her own, since one made by chance may have any digits.
    private = {"birthday": "1987-06-05", "max_dating_age": 77, "min_distance": 4321, "max_distance": 8765}
    usual.modify(usual.she, nickname="小红", **private)
    photo = usual.picture("photo")
    kept = usual.service(lambda: db.session.scalar(select(Discovery.card).where(Discovery.uid == usual.she.id)))
    assert set(json.loads(kept)) == CARD - {"age", "vip"}
    assert json.loads(kept)["bio"] == "before"
    # And so may an id.
    body = kept.replace(str(usual.she.id), "")
    phone = usual.she.phone.removeprefix("+86")
    for secret in (phone, "1987", "06-05", "4321", "8765", "77", "dating", "only_match", photo["url"], photo["id"]):
        assert secret not in body, secret


@pytest.mark.parametrize("text", ['"', "\\", '","age":17,"vip":{}}', "\n{}", "%s%d{uid}", "🎈'); --"])
def test_whatever_people_write_stays_text(usual: Scene, text: str) -> None:
    usual.modify(usual.she, bio=f"before {text} after")
    assert usual.card()["bio"] == f"before {text} after"


def test_pictures_that_come_and_go_at_once_are_all_on_the_card(usual: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write makes the whole card: one that did not see its neighbour's would leave that one out for good."""
    usual.modify(usual.she, only_match=False)
    gone = [int(usual.picture("photo")["id"]) for _ in range(2)]
    picture = BytesIO()
    Image.new("RGB", (32, 32), "red").save(picture, "JPEG")

    def read_slowly(uids: list[int]) -> Any:
        found = photos_of(uids)
        time.sleep(0.1)
        return found

    def run(write: Callable[[], object]) -> None:
        usual.service(write)

    monkeypatch.setattr(cards, "photos_of", read_slowly)
    # All four uploads may be under way at the same moment.
    monkeypatch.setitem(usual.app.config, "UPLOADS_AT_ONCE", 4)
    writes: list[Callable[[], object]] = [
        *[lambda: uploads.add_upload(usual.she.id, UploadKind.PHOTO, picture.getvalue())] * 3,
        *[lambda photo=each: uploads.delete_photo(usual.she.id, photo) for each in gone],  # type: ignore[misc]
        lambda: uploads.add_upload(usual.she.id, UploadKind.AVATAR, picture.getvalue()),
        lambda: change_profile(usual.she.id, {"bio": "after"}, vip_status_of(usual.she.id)),
    ]
    with ThreadPoolExecutor(len(writes)) as pool:
        list(pool.map(run, writes))
    query = select(Upload.id).where(Upload.uid == usual.she.id, Upload.kind == UploadKind.PHOTO)
    left = [str(photo) for photo in usual.service(lambda: list(db.session.scalars(query.order_by(Upload.id))))]
    assert len(left) == 3
    card = usual.card()
    assert [photo["id"] for photo in card["photos"]] == left
    assert card["bio"] == "after"
    assert card["avatar"].startswith("/media/")


def test_a_suspended_person_s_card_comes_back_with_them(usual: Scene) -> None:
    before = usual.card()
    usual.service(set_status, usual.she.id, Status.SUSPENDED)
    assert str(usual.she.id) not in usual.cards()
    usual.service(set_status, usual.she.id, Status.ACTIVE)
    assert usual.card() == before


def test_whoever_moves_stands_in_the_deck_of_one_city(usual: Scene) -> None:
    def places() -> list[str]:
        query = select(Discovery.location).where(Discovery.uid == usual.she.id)
        return usual.service(lambda: list(db.session.scalars(query)))

    assert places() == ["上海"]
    usual.modify(usual.she, location="北京", nickname="小红")
    assert places() == ["北京"]
    usual.service(set_status, usual.she.id, Status.SUSPENDED)
    assert places() == []
