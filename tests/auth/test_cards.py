"""Ready-made cards: every write is seen in the next deck, nothing private is kept, nothing old outlives its write."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import delete, update

from swiper.auth import cards, uploads
from swiper.auth.accounts import change_profile
from swiper.auth.cards import shown_cards
from swiper.auth.models import Sex
from swiper.auth.profiles import account_key, card_key, dated_cards
from swiper.extensions import cache, db, redis
from swiper.memo import forget, recall_many
from swiper.storage import ObjectStore
from swiper.vip.levels import expire_memberships, forget_levels, grant, standing_of
from swiper.vip.models import LevelPermission, Membership, Permission, VipLevel
from tests.factories import Clock, People, Person

MakeApp = Callable[..., Flask]
NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)
KINDS = ["null", "simple", "file", "redis"]
KEEPING = ["simple", "file", "redis"]


class PublicStore(ObjectStore):
    """A remote store that takes everything."""

    name = "public"

    def put(self, key: str, path: Path, content_type: str) -> None:
        assert path.exists()

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
        """The deck twice, made and remade, by id."""
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
    """On each kind of cache, and on one that does not answer."""
    made = build("redis" if request.param == "away" else request.param)
    if request.param == "away":
        made.extensions["cache_away_until"] = float("inf")
    return Scene(made, clock)


def test_a_changed_profile_is_on_the_next_card(scene: Scene) -> None:
    assert scene.card()["bio"] == "before"
    for name, value in (("nickname", "小红"), ("bio", "后来"), ("sex", "male"), ("sex", "female")):
        scene.modify(scene.she, **{name: value})
        assert scene.card()[name] == value
    scene.modify(scene.she, birthday="1990-03-10")
    assert scene.card()["age"] == 36
    scene.modify(scene.she, birthday="1990-03-11")
    assert scene.card()["age"] == 35
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
        scene.service(uploads.push_upload, scene.she.id, int(picture["id"]))
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


@pytest.mark.parametrize("kind", KEEPING)
def test_nothing_private_is_in_the_kept_card(kind: str, build: MakeApp, clock: Clock) -> None:
    scene = Scene(build(kind), clock)
    # A nickname of her own, since one made by chance may have any digits.
    private = {"birthday": "1987-06-05", "max_dating_age": 77, "min_distance": 4321, "max_distance": 8765}
    scene.modify(scene.she, nickname="小红", **private)
    photo = scene.picture("photo")
    scene.card()
    with scene.app.app_context():
        kept = cache.get(card_key(scene.she.id))
    assert b"before" in kept
    assert scene.service(lambda: cache.get(card_key(scene.she.id))) == kept
    phone = scene.she.phone.removeprefix("+86")
    for secret in (phone, "1987", "06-05", "4321", "8765", "77", "dating", "only_match", photo["url"], photo["id"]):
        # And so may an id.
        body = kept.replace(str(scene.she.id).encode(), b"")
        assert secret.encode() not in body, secret
    # A card is somebody else's view: their own has its own key.
    assert card_key(scene.she.id) != account_key(scene.she.id)


@pytest.mark.parametrize("kind", KEEPING)
def test_a_value_loaded_before_a_write_and_stored_after_it_is_not_kept(kind: str, build: MakeApp) -> None:
    stored = {"{u:1}:x": "old", "{u:2}:x": "old"}

    def load(missing: list[str]) -> dict[str, Any]:
        values = {key: stored[key] for key in missing}
        if values.get("{u:1}:x") == "old":
            stored["{u:1}:x"] = "new"
            forget("{u:1}:x")
        return values

    with build(kind).app_context():
        recall_many(list(stored), str, load, 60)
        assert recall_many(list(stored), str, load, 60) == {"{u:1}:x": "new", "{u:2}:x": "old"}
        assert cache.get("{u:1}:x") == "new"
        # And what has a mark already is kept like any other.
        forget("{u:2}:x")
        recall_many(list(stored), str, load, 60)
        assert cache.get("{u:2}:x") == "old"


@pytest.mark.parametrize("kind", KEEPING)
def test_a_value_whose_storing_was_not_confirmed_is_taken_back_after_a_write(
    kind: str, build: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache has stored it, and its answer is lost."""

    def load(missing: list[str]) -> dict[str, Any]:
        forget("{u:1}:x")
        return dict.fromkeys(missing, "old")

    with build(kind).app_context():
        store = cache.set_many

        def store_and_lose(*args: Any, **kwargs: Any) -> None:
            store(*args, **kwargs)
            raise TimeoutError()

        monkeypatch.setattr(cache, "set_many", store_and_lose)
        assert recall_many(["{u:1}:x"], str, load, 60) == {"{u:1}:x": "old"}
        assert cache.get("{u:1}:x") is None


@pytest.mark.parametrize("kind", KEEPING)
def test_a_card_whose_owner_writes_while_it_is_made_is_not_kept(kind: str, build: MakeApp, clock: Clock) -> None:
    scene = Scene(build(kind), clock)
    is_due = threading.Event()
    is_due.set()

    def rename() -> None:
        with scene.app.app_context():
            change_profile(scene.she.id, {"bio": "after"}, standing_of(scene.she.id))
            db.session.remove()

    def read_then_wait(uids: list[int]) -> Any:
        # The card has been read; its owner's write is committed before it is kept.
        found = dated_cards(uids)
        if is_due.is_set():
            is_due.clear()
            writer = threading.Thread(target=rename)
            writer.start()
            writer.join()
        return found

    with scene.app.app_context():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cards, "dated_cards", read_then_wait)
            shown_cards([scene.she.id])
        db.session.remove()
        assert not is_due.is_set()
        assert b'"after"' in bytes(shown_cards([scene.she.id])[scene.she.id])


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\xff\xfe", b"!garbage", b"!\x80\x05.", b"17", b"\x93\x01", b"\xc0", b"[]", b"\x94\xa1a\xa1b\xa1c\xa1d"],
)
def test_garbage_in_the_place_of_a_card_is_made_anew(garbage: bytes, app: Flask, clock: Clock) -> None:
    scene = Scene(app, clock)
    before = scene.card()
    with app.app_context():
        name = f"{app.config['CACHE_KEY_PREFIX']}{card_key(scene.she.id)}"
        assert redis.client.exists(name)
        redis.client.set(name, garbage)
    assert scene.card() == before
    with app.app_context():
        app.extensions.pop("cache_away_until", None)
        assert cache.get(card_key(scene.she.id)) is not None


def test_cards_come_in_the_order_asked_for_and_without_those_who_are_gone(app: Flask, people: People) -> None:
    women = [people.woman().id for _ in range(3)]
    with app.app_context():
        for _ in range(2):
            assert list(shown_cards([women[2], 17, women[0], women[1]])) == [women[2], women[0], women[1]]
        assert shown_cards([]) == {}


def test_sexes_are_text(app: Flask, people: People) -> None:
    woman = people.woman(sex=Sex.FEMALE.value, birthday=date(1990, 1, 1))
    with app.app_context():
        assert b'"sex":"female"' in bytes(shown_cards([woman.id])[woman.id])
