"""Cards: what others see of people, made from the tables."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import select

from swiper.db.transactions import quick_lane
from swiper.extensions import db
from swiper.fastpath.postgres_statements import StatementRunner
from swiper.profiles import quick
from swiper.profiles.ages import age_on
from swiper.profiles.models import Preferences, Sex, Status, User
from swiper.profiles.profiles import Album, albums_of_rows, photos_of
from swiper.vip.levels import VipStatus, current_vip_status, vip_statuses_of
from swiper.vip.quotas import today


def cards_of(uids: Sequence[int], friends: Collection[int] = ()) -> list[dict[str, Any]]:
    """The public cards of active users, in the order of `uids`; those who are gone or suspended are left out.

    An album is shown to friends, and to others only where its owner allows it.
    """
    lane = quick_lane()
    if lane is not None and uids:
        return _cards_quickly(lane, uids, friends)
    rows = db.session.execute(
        select(User, Preferences.only_match)
        .join(Preferences, Preferences.uid == User.id)
        .where(User.id.in_(uids), User.status == Status.ACTIVE)
    ).all()
    users = {user.id: user for user, _ in rows}
    albums = photos_of([user.id for user, only_match in rows if user.id in friends or not only_match])
    vip_statuses = vip_statuses_of(list(users))
    return [_card(users[uid], albums.get(uid, []), vip_statuses[uid]) for uid in uids if uid in users]


def _cards_quickly(lane: StatementRunner, uids: Sequence[int], friends: Collection[int]) -> list[dict[str, Any]]:
    rows, photos = lane.read((quick.CARDS, [list(uids)]), (quick.ALBUMS, [list(uids)]))
    albums = albums_of_rows(photos)
    made = {}
    for uid, nickname, sex, birthday, location, bio, avatar, only_match, level, expires_at in rows:
        shown = albums.get(uid, []) if uid in friends or not only_match else []
        source = CardSource(uid, nickname, sex, birthday, location, bio, avatar)
        made[uid] = _card(source, shown, current_vip_status(level, expires_at))
    return [made[uid] for uid in uids if uid in made]


class CardSource(NamedTuple):
    """What a card shows of a user's row."""

    id: int
    nickname: str
    sex: Sex | None
    birthday: date | None
    location: str | None
    bio: str
    avatar: str


def stored_card(source: User | CardSource, photos: Album) -> dict[str, Any]:
    """A card but for what changes by itself."""
    return {
        "id": source.id,
        "nickname": source.nickname,
        "sex": source.sex,
        "location": source.location,
        "bio": source.bio,
        "avatar": source.avatar,
        "photos": [{"id": photo_id, "url": url} for photo_id, url in photos],
    }


def _card(source: User | CardSource, photos: Album, current: VipStatus) -> dict[str, Any]:
    age = age_on(today(), source.birthday) if source.birthday else None
    return stored_card(source, photos) | {"age": age, "vip": current.level.badge}
