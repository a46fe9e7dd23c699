"""Cards: what others see of people, made from the tables."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

from swiper.clock import today
from swiper.db.statements import read
from swiper.profiles import queries
from swiper.profiles.ages import age_on
from swiper.profiles.models import CARD_COLUMNS, User
from swiper.profiles.profiles import Album, albums_of_rows
from swiper.vip.levels import VipStatus, current_vip_status


def cards_of(uids: Sequence[int], friends: Collection[int] = ()) -> list[dict[str, Any]]:
    """The public cards of active users, in the order of `uids`; those who are gone or suspended are left out.

    An album is shown to friends, and to others only where its owner allows it.
    """
    if not uids:
        return []
    rows, photos = read((queries.CARDS, {"uids": list(uids)}), (queries.ALBUMS, {"uids": list(uids)}))
    albums = albums_of_rows(photos)
    made = {}
    for *columns, birthday, only_match, level, expires_at in rows:
        shown = dict(zip(CARD_COLUMNS, columns, strict=True))
        uid = shown["id"]
        album = albums.get(uid, []) if uid in friends or not only_match else []
        made[uid] = _card(shown, birthday, album, current_vip_status(level, expires_at))
    return [made[uid] for uid in uids if uid in made]


def card_columns_of(user: User) -> dict[str, Any]:
    """What a card shows of a user's row."""
    return {name: getattr(user, name) for name in CARD_COLUMNS}


def stored_card(shown: Mapping[str, Any], photos: Album) -> dict[str, Any]:
    """A card but for what changes by itself, of the columns that it shows."""
    return {name: shown[name] for name in CARD_COLUMNS} | {
        "photos": [{"id": photo_id, "url": url} for photo_id, url in photos]
    }


def _card(shown: Mapping[str, Any], birthday: date | None, photos: Album, current: VipStatus) -> dict[str, Any]:
    age = age_on(today(), birthday) if birthday else None
    return stored_card(shown, photos) | {"age": age, "vip": current.level.badge}
