"""Public cards as strangers see them, ready-made: each is serialised once and kept in the cache until it changes."""

import math
import zlib

import msgspec
from flask import current_app

from swiper.auth.profiles import card_key, dated_cards
from swiper.auth.schemas import CardOut
from swiper.blueprints import compile_schema
from swiper.dialect import now
from swiper.memo import recall_many
from swiper.vip.levels import list_levels
from swiper.vip.quotas import today


class ReadyCard(msgspec.Struct, array_like=True):
    """A serialised card with what it was made under: the day, for the age; levels and membership, for the badge."""

    day: str
    levels: int
    badge_until: float
    body: bytes


_dump = compile_schema(CardOut)
_encode = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(ReadyCard).decode


def shown_cards(uids: list[int]) -> dict[int, msgspec.Raw]:
    """The cards of active users who are no friends of the caller, by id in the order of `uids`, as JSON.

    Without the cache they are read from the database, like any other card.
    """
    day, levels, moment = today().isoformat(), _mark_of_levels(), now().timestamp()
    keys = {card_key(uid): uid for uid in uids}

    def read(packed: bytes) -> msgspec.Raw | None:
        try:
            card = _unpack(packed)
        except (msgspec.DecodeError, TypeError):
            # Nothing of ours, or another release's: made anew.
            return None
        is_fresh = card.day == day and card.levels == levels and card.badge_until > moment
        return msgspec.Raw(card.body) if is_fresh else None

    def load(missing: list[str]) -> dict[str, bytes]:
        made = {}
        for card, expires_at in dated_cards([keys[key] for key in missing]):
            until = expires_at.timestamp() if expires_at else math.inf
            made[card_key(card["id"])] = _pack(ReadyCard(day, levels, until, _encode(_dump(card))))
        return made

    found = recall_many(list(keys), read, load, current_app.config["USER_CACHE_SECONDS"])
    return {uid: found[key] for key, uid in keys.items() if key in found}


def _mark_of_levels() -> int:
    """Changes with the levels, whose names and permissions stand on the cards."""
    levels = list_levels()
    known: tuple[object, int] | None = current_app.extensions.get("mark_of_levels")
    if known is None or known[0] is not levels:
        known = current_app.extensions["mark_of_levels"] = levels, zlib.crc32(repr(levels).encode())
    return known[1]
