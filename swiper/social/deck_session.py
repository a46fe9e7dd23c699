"""What is known of a caller's deck: the criteria, and the deck session, which Redis holds.

A stored deck session is replaced only if it is still the one that was read, so concurrent requests lose no change.
"""

import functools
import hashlib
import itertools
import logging
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast

import msgspec
from redis.exceptions import RedisError

from swiper.cache.invalidations import invalidate_after_commit, remover
from swiper.clock import today
from swiper.errors import ProfileError
from swiper.extensions import redis
from swiper.ids import moment_of
from swiper.outages import is_redis_outage
from swiper.profiles.models import DatingSex, Sex
from swiper.profiles.profiles import Account, latest_birthday
from swiper.signals import rewound, status_changed
from swiper.vip.levels import VipStatus

log = logging.getLogger(__name__)

# One more than the highest `shuffle`.
SHUFFLE_END = 2**31
# The name under which a deck session is invalidated; see `swiper/cache/invalidations.py`.
DECK = "deck"
SESSION_SECONDS = 86_400
# An attempt to store a deck session fails only if another request of the same user has changed it.
MAX_ATTEMPTS = 5
# KEYS: deck session. ARGV: packed session, seconds, the packed session that was read, empty if there was none.
REPLACE = """
local held = redis.pcall('GET', KEYS[1]) or ''
-- A value of another type is not a deck session.
if type(held) == 'table' then held = '' end
if held ~= ARGV[3] and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""
ID_BYTES = 8

# The position of a person in the order of all decks: `(shuffle, uid)`.
Cursor = tuple[int, int]


@dataclass(frozen=True)
class DeckCriteria:
    """Whom a caller wants to see, and what these people must want. Ages are bounds of the birthday, as of `day`."""

    uid: int
    sex: Sex
    sexes: tuple[Sex, ...]
    location: str
    born_after: date
    born_until: date
    day: date
    # People with lower ids are left out, unless they have liked the caller since this id was made.
    from_id: int = 0

    @functools.cached_property
    def start(self) -> int:
        """The `shuffle` at which this caller's deck starts on this day."""
        digest = hashlib.sha256(f"{self.uid}:{self.day}".encode()).digest()
        return int.from_bytes(digest[:4]) % SHUFFLE_END

    @functools.cached_property
    def fingerprint(self) -> str:
        """A text that changes when anything changes that decides who is in the deck, and in which order."""
        fields = (self.uid, self.sex, *self.sexes, self.location, self.born_after, self.born_until, self.day)
        fields += (self.from_id,)
        return hashlib.sha256("|".join(map(str, fields)).encode()).hexdigest()[:16]

    @functools.cached_property
    def values(self) -> dict[str, Any]:
        """The parameters of `queries.deck.FITS`, except `likers`."""
        return {
            "uid": self.uid,
            "city": self.location,
            "first_sex": self.sexes[0],
            "second_sex": self.sexes[-1],
            "own_sex": DatingSex(self.sex),
            "born_after": self.born_after,
            "born_until": self.born_until,
            "from_id": self.from_id,
        }

    @functools.cached_property
    def from_moment(self) -> datetime:
        """The time when `from_id` was made."""
        return moment_of(self.from_id)


def criteria_of(account: Account, vip_status: VipStatus, day: date | None = None) -> DeckCriteria:
    """Return the caller's criteria as of `day`, by default today.

    Raises ProfileError with the names of the fields that the profile lacks.
    """
    return _criteria_of(account, account.wanted_location(vip_status), day or today())


# Each group of a deck needs the criteria. They stay the same until the account changes.
@functools.lru_cache(maxsize=2_000)
def _criteria_of(account: Account, location: str | None, day: date) -> DeckCriteria:
    if account.missing:
        reasons = {name: ["Not set yet."] for name in account.missing}
        raise ProfileError("Complete your profile first.", errors=reasons)
    ages = {"min_age": account.min_dating_age, "max_age": account.max_dating_age}
    return make_criteria(account, sex=account.wanted_sex, location=location, **ages, day=day)


def make_criteria(account: Account, *, sex: Any, location: Any, min_age: int, max_age: int, day: date) -> DeckCriteria:
    """Return criteria with the ages turned into birthdays, as of `day`."""
    return DeckCriteria(
        uid=account.id,
        sex=Sex(str(account.sex)),
        sexes=tuple(Sex) if sex is DatingSex.ANY else (Sex(sex.value),),
        location=location,
        born_after=latest_birthday(day, max_age + 1),
        born_until=latest_birthday(day, min_age),
        day=day,
        from_id=account.deck_from or 0,
    )


class DeckSession(msgspec.Struct):
    """The list of people that a caller looks through: first `likers`, then the others.

    `criteria` is the fingerprint of the criteria, and `day` the ordinal of their day. The list begins with group
    `first_group`. `packed_ids` are the ids of all candidates that were read, 8 bytes each, since most requests need
    only five of them. `cursor` is the position of the last one. `is_complete` says that there are no more candidates.
    """

    criteria: str
    first_group: int = 0
    likers: list[int] = []
    packed_ids: bytes = b""
    cursor: Cursor | None = None
    is_complete: bool = False
    day: int = 0

    @property
    def candidate_ids(self) -> list[int]:
        """The ids of all candidates, some of whom may be in `likers` as well."""
        return _unpack_ids(self.packed_ids)

    def set_candidates(self, uids: Iterable[int]) -> None:
        """Replace the ids of all candidates."""
        self.packed_ids = array("q", uids).tobytes()

    def ids(self, start: int, stop: int | None) -> list[int]:
        """Return a slice of the list."""
        if not self.likers:
            end = None if stop is None else stop * ID_BYTES
            return _unpack_ids(self.packed_ids[start * ID_BYTES : end])
        likers = set(self.likers)
        others = (uid for uid in self.candidate_ids if uid not in likers)
        return list(itertools.islice(itertools.chain(self.likers, others), start, stop))

    def remove(self, uids: set[int]) -> None:
        """Remove people from the list."""
        if uids:
            self.likers = [uid for uid in self.likers if uid not in uids]
            self.set_candidates(uid for uid in self.candidate_ids if uid not in uids)


def _unpack_ids(packed: bytes) -> list[int]:
    return array("q", packed).tolist()


pack = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(DeckSession).decode


def unpack(stored: bytes | None) -> DeckSession | None:
    """Return a stored deck session, or None if there is none or another release has written it."""
    try:
        return _decode(stored) if stored else None
    except msgspec.DecodeError:
        return None


def session_key(uid: int) -> str:
    """Return the Redis key of a user's deck session."""
    return redis.key(f"{{u:{uid}}}:deck")


def load_session(uid: int) -> bytes | None:
    """Return a user's packed deck session."""
    return cast(bytes | None, redis.client.get(session_key(uid)))


def replace_session(uid: int, stored: bytes | None, packed: bytes) -> bool:
    """Store `packed`, which was made from `stored`. Return False if Redis holds another session by now."""
    return bool(redis.client.eval(REPLACE, 1, session_key(uid), packed, SESSION_SECONDS, stored or b""))


@remover(DECK)
def drop_session(uid: int) -> bool:
    """Delete a user's deck session. Return False if Redis is not available."""
    try:
        redis.client.delete(session_key(uid))
    except RedisError as error:
        if not is_redis_outage(error):
            raise
        return False
    return True


def invalidate_session(_sender: Any, *, uid: int) -> None:
    """Drop the deck session of a user who is suspended or deleted, since it says whom they were to be shown."""
    invalidate_after_commit(uid, DECK)


def bring_back(_sender: Any, *, uid: int, target_id: int) -> None:
    """Append a person whose swipe was taken back to the deck session, unless it contains them. Nobody else moves."""
    for _ in range(MAX_ATTEMPTS):
        stored = load_session(uid)
        session = unpack(stored)
        if session is None or target_id in session.candidate_ids:
            return
        session.set_candidates([*session.candidate_ids, target_id])
        if replace_session(uid, stored, pack(session)):
            return
    log.warning("somebody whose swipe was taken back is not in the deck session")


status_changed.connect(invalidate_session)
rewound.connect(bring_back)
