"""What decks show of people, kept ready beside what they are looked for by: one row of `discovery` each.

Whoever changes anything that stands on a card publishes it anew, in the same transaction and under the lock of the
user's row; so what is kept is never older than what it is made of. Age and badge change by themselves and are added
when a card is shown.
"""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import delete

from swiper.extensions import db
from swiper.http.blueprints import compile_schema
from swiper.profiles.models import DatingSex, Discovery, Preferences, Status, User
from swiper.profiles.profiles import Album, photos_of
from swiper.profiles.public_cards import card_columns_of, stored_card
from swiper.profiles.schemas import CardOut
from swiper.vip.levels import find_level, list_levels

# Somebody's id, the lasting part of their card as JSON, their age, and the level of the membership that runs at this
# moment, None without one.
KeptCard = tuple[int, bytes, int, int | None]

_dump = compile_schema(CardOut(exclude=("age", "vip")))
_encode = msgspec.json.Encoder().encode


def card_text(shown: Mapping[str, Any], photos: Album) -> str:
    """The lasting part of the card that strangers see, as JSON, of the columns that it shows."""
    return _encode(_dump(stored_card(shown, photos))).decode()


def complete(kept: Iterable[KeptCard]) -> msgspec.Raw:
    """A list of whole cards, as JSON."""
    badges = {level.level: level.badge_json for level in list_levels()}
    made = []
    for _, text, age, level in kept:
        badge = badges.get(level or 0) or find_level(level or 0).badge_json
        made.append(b'%s,"age":%d,"vip":%s}' % (text[:-1], age, badge))
    return msgspec.Raw(b"[%s]" % b",".join(made))


def refresh_discovery_row(user: User, former_location: str | None = None) -> None:
    """Bring the user's row in `discovery` up to date, in the running transaction, which has locked the user's row.

    `former_location` is the city before this transaction, where it may have changed.
    """
    db.session.flush()
    drop_discovery_row(user.id, former_location, user.location)
    if user.status is not Status.ACTIVE or not (user.sex and user.birthday and user.location):
        return
    preferences = db.session.get_one(Preferences, user.id, populate_existing=True)
    album = [] if preferences.only_match else photos_of([user.id]).get(user.id, [])
    db.session.add(
        Discovery(
            location=user.location,
            uid=user.id,
            sex=user.sex,
            dating_sex=preferences.dating_sex or DatingSex(user.sex.other),
            birthday=user.birthday,
            shuffle=shuffle_of(user.id),
            card=card_text(card_columns_of(user), album),
        )
    )
    db.session.flush()


def drop_discovery_row(uid: int, *locations: str | None) -> None:
    """Take a user out of the decks of the cities where they may stand, in the running transaction."""
    if cities := {location for location in locations if location}:
        db.session.execute(delete(Discovery).where(Discovery.location.in_(sorted(cities)), Discovery.uid == uid))


def shuffle_of(uid: int) -> int:
    """Where a user stands in the mixed order that decks are read in: 31 bits, always the same for one id."""
    return zlib.crc32(str(uid).encode()) & 0x7FFFFFFF
