"""Cards: what people are shown of each other, made from the tables or stored beside the deck's search columns.

Each active user with a complete profile has one row in `discovery`, with the part of the card that does not change by
itself. Code that changes something on a card calls `refresh_discovery_row` in the same transaction, under the lock of
the user's row, so a stored card is never out of date. Age and VIP badge change by themselves; they are added when the
card is shown.
"""

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from swiper.clock import today
from swiper.db.statements import read
from swiper.http.serialization import compile_schema
from swiper.profiles.models import CARD_COLUMNS, Discovery, Status, User
from swiper.profiles.profiles import Album, age_on, albums_of_rows, default_dating_sex, photos_of
from swiper.profiles.queries import people
from swiper.profiles.schemas import CardOut
from swiper.vip.levels import current_vip_status, find_level, list_levels

# User id, the stored part of the card as JSON, age, and the level of the current membership or None.
CardRow = tuple[int, bytes, int, int | None]

_dump = compile_schema(CardOut(exclude=("age", "vip")))
_encode = msgspec.json.Encoder().encode


def cards_of(uids: Sequence[int], friends: Collection[int] = ()) -> list[dict[str, Any]]:
    """The cards of active users, in the order of `uids`; users who are deleted or suspended are left out.

    Photos are shown to friends, and to others only if their owner allows it.
    """
    if not uids:
        return []
    rows, photos = read((people.CARDS, {"uids": list(uids)}), (people.ALBUMS, {"uids": list(uids)}))
    albums = albums_of_rows(photos)
    made = {}
    for *columns, birthday, only_match, level, expires_at in rows:
        shown = dict(zip(CARD_COLUMNS, columns, strict=True))
        uid = shown["id"]
        album = albums.get(uid, []) if uid in friends or not only_match else []
        made[uid] = _stored_part(shown, album) | {
            "age": age_on(today(), birthday) if birthday else None,
            "vip": current_vip_status(level, expires_at).level.badge,
        }
    return [made[uid] for uid in uids if uid in made]


def _stored_part(shown: Mapping[str, Any], photos: Album) -> dict[str, Any]:
    """A card without age and badge. `shown` has the values of `CARD_COLUMNS`."""
    return {**shown, "photos": [{"id": photo_id, "url": url} for photo_id, url in photos]}


def card_text(shown: Mapping[str, Any], photos: Album) -> str:
    """The stored part of a card as JSON. `shown` has the values of `CARD_COLUMNS`."""
    return _encode(_dump(_stored_part(shown, photos))).decode()


def complete_cards(rows: Iterable[CardRow]) -> msgspec.Raw:
    """A list of complete cards as JSON."""
    badges = {level.level: level.badge_json for level in list_levels()}
    made = []
    for _, text, age, level in rows:
        badge = badges.get(level or 0) or find_level(level or 0).badge_json
        made.append(b'%s,"age":%d,"vip":%s}' % (text[:-1], age, badge))
    return msgspec.Raw(b"[%s]" % b",".join(made))


def refresh_discovery_row(user: User, former_location: str | None = None) -> None:
    """Write the user's row in `discovery` anew, in the running transaction, which has locked the user's row.

    `former_location` is the user's city at the start of this transaction, if it may have changed.
    """
    people.delete_discovery_rows(user.id, former_location, user.location)
    if user.status is not Status.ACTIVE or not (user.sex and user.birthday and user.location):
        return
    preferences = people.get_preferences(user.id)
    album = [] if preferences.only_match else photos_of([user.id]).get(user.id, [])
    people.insert_discovery_row(
        Discovery(
            location=user.location,
            uid=user.id,
            sex=user.sex,
            dating_sex=preferences.dating_sex or default_dating_sex(user.sex),
            birthday=user.birthday,
            shuffle=shuffle_of(user.id),
            card=card_text({name: getattr(user, name) for name in CARD_COLUMNS}, album),
        )
    )


def shuffle_of(uid: int) -> int:
    """A user's place in the mixed order of decks: 31 bits, always the same for one id."""
    return zlib.crc32(str(uid).encode()) & 0x7FFFFFFF
