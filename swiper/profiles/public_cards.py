"""Cards: what others see of people, made from the tables."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, NamedTuple

from swiper.db.statements import read
from swiper.profiles import queries
from swiper.profiles.ages import age_on
from swiper.profiles.models import Sex, User
from swiper.profiles.profiles import Album, albums_of_rows
from swiper.vip.levels import VipStatus, current_vip_status
from swiper.vip.quotas import today


def cards_of(uids: Sequence[int], friends: Collection[int] = ()) -> list[dict[str, Any]]:
    """The public cards of active users, in the order of `uids`; those who are gone or suspended are left out.

    An album is shown to friends, and to others only where its owner allows it.
    """
    if not uids:
        return []
    rows, photos = read((queries.CARDS, {"uids": list(uids)}), (queries.ALBUMS, {"uids": list(uids)}))
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
