"""What decks show of people, kept ready beside what they are looked for by: one row of `discovery` each.

Whoever changes anything that stands on a card publishes it anew, in the same transaction and under the lock of the
user's row; so what is kept is never older than what it is made of. Age and badge change by themselves and are added
when a card is shown.
"""

import functools
import zlib
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

import msgspec
from sqlalchemy import delete

from swiper.auth.models import DatingSex, Discovery, Preferences, Status, User
from swiper.auth.profiles import Album, Face, age_on, lasting_card, photos_of
from swiper.auth.schemas import CardOut
from swiper.blueprints import compile_schema
from swiper.extensions import db
from swiper.vip.levels import Level, Standing, find_level


class KeptCard(NamedTuple):
    """The lasting part of a card, as JSON, and what its owner's age and badge follow from.

    `level` is that of the membership that runs at this moment, None without one.
    """

    text: bytes
    birthday: date
    level: int | None


_dump = compile_schema(CardOut(exclude=("age", "vip")))
_encode = msgspec.json.Encoder().encode


def card_text(face: User | Face, photos: Album) -> str:
    """The lasting part of the card that strangers see, as JSON."""
    return _encode(_dump(lasting_card(face, photos))).decode()


def complete(kept: Iterable[KeptCard], day: date) -> list[msgspec.Raw]:
    """Whole cards as of `day`, today, as JSON."""
    badges: dict[int, bytes] = {}
    made = []
    for card in kept:
        level = card.level or 0
        if level not in badges:
            badges[level] = _badge_text(find_level(level))
        made.append(msgspec.Raw(b'%s,"age":%d,"vip":%s}' % (card.text[:-1], age_on(day, card.birthday), badges[level])))
    return made


@functools.lru_cache(maxsize=100)
def _badge_text(level: Level) -> bytes:
    return _encode(Standing(level, None).badge)


def publish(user: User) -> None:
    """Bring the user's row in `discovery` up to date, in the running transaction, which has locked the user's row."""
    db.session.flush()
    db.session.execute(delete(Discovery).where(Discovery.uid == user.id))
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
            card=card_text(user, album),
        )
    )
    db.session.flush()


def shuffle_of(uid: int) -> int:
    """Where a user stands in the mixed order that decks are read in: 31 bits, always the same for one id."""
    return zlib.crc32(str(uid).encode()) & 0x7FFFFFFF
