"""The deck: whom a user is shown, in which order, page by page.

A pass through the deck is kept in Redis, beside the session, which reads it along. Group 0 starts a pass: superlikers
first, likers next, then the rest of the wanted people in an order that stays the same all day. Later groups are slices
of the same list, so that swiping neither repeats nor skips anyone; when the list ends it is continued.

The rest outlives its pass: the next one leaves out who was swiped since and goes on from where the walk through the
database has come to. So a group costs the same whatever the caller has swiped, and however many people there are. Only
when fewer than a group are left does the walk begin anew, for those who came since.

Before anyone is shown, everything that the rules ask for is checked again in the database.
"""

import itertools
import logging
import sys
from array import array
from collections.abc import Iterable
from datetime import date
from typing import Any, cast

import msgspec
from redis.exceptions import RedisError

from swiper.cache.invalidations import invalidate_after_commit, remover
from swiper.extensions import redis
from swiper.outages import is_redis_outage
from swiper.profiles.cards import CardRow, complete_cards
from swiper.profiles.models import DatingSex
from swiper.profiles.profiles import Account
from swiper.signals import rewound, status_changed
from swiper.social.walks import (
    MAX_CHUNK,
    Place,
    fits_anyone,
    fitting_cards,
    has_more_unseen,
    has_unseen_elsewhere,
    look_again,
    still_fitting,
    unseen_rest,
)
from swiper.social.wishes import Wish, make_wish, wish_of
from swiper.vip.levels import VipStatus
from swiper.vip.models import Permission

log = logging.getLogger(__name__)

# What is kept of a user in Redis, by the name under which it is dropped; see `invalidations`.
DECK = "deck"
GROUP_SIZE = 5
LAST_GROUP = 1_999
# A pass is made, and continued, in steps of this many people.
PASS_STEP = 100
# As many are checked at once when a pass begins.
HEAD = 10
PASS_SECONDS = 86_400
# Each try loses against another request of the same user alone.
MOST_TRIES = 5
# KEYS: pass. ARGV: packed pass, seconds, what the pass was when it was read, empty where there was none.
REPLACE = """
local held = redis.pcall('GET', KEYS[1]) or ''
-- Another kind of value is none of ours.
if type(held) == 'table' then held = '' end
if held ~= ARGV[3] and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""
ID_BYTES = 8


class Pass(msgspec.Struct):
    """One pass: `base` is the group it begins with, `walked` how far the walk has come that found the rest.

    The rest's ids have 8 bytes each: of a hundred most requests need five. `day` is the ordinal of the wish's day.
    """

    wish: str
    base: int = 0
    likers: list[int] = []
    rest: bytes = b""
    walked: Place | None = None
    is_whole: bool = False
    day: int = 0

    def behind(self) -> list[int]:
        """The ids of the rest."""
        return _ids_of(self.rest)

    def ids(self, start: int, stop: int) -> list[int]:
        """Part of the deck, in its order."""
        if not self.likers:
            return _ids_of(self.rest[start * ID_BYTES : stop * ID_BYTES])
        likers = set(self.likers)
        rest = (uid for uid in self.behind() if uid not in likers)
        return list(itertools.islice(itertools.chain(self.likers, rest), start, stop))

    def drop(self, gone: set[int]) -> None:
        """Take people out."""
        if gone:
            self.likers = [uid for uid in self.likers if uid not in gone]
            self.rest = _as_bytes(uid for uid in self.behind() if uid not in gone)

    def extend(self, wish: Wish, count: int) -> None:
        """Add the next `count` people of the rest; with fewer the pass is whole."""
        found = self.behind()
        known, wanted = set(found), len(found) + count
        self.is_whole = True
        for place in unseen_rest(wish, self.walked):
            self.walked = place
            if place[1] not in known:
                found.append(place[1])
            if len(found) >= wanted:
                self.is_whole = False
                break
        self.rest = _as_bytes(found)


def _ids_of(packed: bytes) -> list[int]:
    return array("q", packed).tolist()


def _as_bytes(uids: Iterable[int]) -> bytes:
    return array("q", uids).tobytes()


_pack = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Pass).decode


def _unpack(stored: Any) -> Pass | None:
    """A stored pass; None for what another release has written, or nobody."""
    try:
        return _decode(stored) if stored else None
    except msgspec.DecodeError:
        return None


def show_deck(
    account: Account, current: VipStatus, group: int, read: list[bytes | None] | None = None
) -> tuple[list[int], dict[str, Any]]:
    """The ids and the answer of one group: `users`, and `empty` with reason and advice when there is nobody to show.

    `read` is what Redis has under `pass_key`, where the caller knows it already.
    """
    wish = wish_of(account, current)
    stored = read[0] if read else redis.client.get(pass_key(wish.uid))
    held = _unpack(stored)
    if held and held.day > wish.day.toordinal():
        # Only a later day changes the order: this machine's clock is behind the one that made the pass.
        wish = wish_of(account, current, date.fromordinal(held.day))
    shown = _cards_of_group(wish, group, stored, held)
    empty = None if shown else _explain(account, current, wish, group)
    return list(shown), {"users": complete_cards(shown.values()), "empty": empty}


def pass_key(uid: int) -> str:
    """Where Redis keeps a user's pass."""
    return f"{{u:{uid}}}:deck"


def invalidate_pass(_sender: Any, *, uid: int) -> None:
    """The pass of somebody who is suspended or deleted tells whom they were to meet."""
    invalidate_after_commit(uid, DECK)


@remover(DECK)
def forget_pass(uid: int) -> bool:
    """Drop a user's pass; False where Redis does not let us."""
    try:
        redis.client.delete(pass_key(uid))
    except RedisError as error:
        if not is_redis_outage(error):
            raise
        return False
    return True


def bring_back(_sender: Any, *, uid: int, sid: int) -> None:
    """Put whom a rewound swipe was on at the end of the pass, which may have left them out; nobody else moves."""
    for _ in range(MOST_TRIES):
        stored = cast(bytes | None, redis.client.get(pass_key(uid)))
        held = _unpack(stored)
        if stored is None or held is None or sid in held.behind():
            return
        held.rest += _as_bytes([sid])
        if _replace(uid, stored, _pack(held)):
            return
    log.warning("somebody whose swipe was taken back is not in the pass")


def _replace(uid: int, stored: bytes | None, packed: bytes) -> bool:
    """Store a pass in place of `stored`, from which it was made; False where there is another by now."""
    return bool(redis.client.eval(REPLACE, 1, pass_key(uid), packed, PASS_SECONDS, stored or b""))


status_changed.connect(invalidate_pass)
rewound.connect(bring_back)


def _cards_of_group(wish: Wish, group: int, stored: Any, held: Pass | None) -> dict[int, CardRow]:
    """A group of the current pass, in its order.

    A pass that has changed meanwhile, by a rewind or another request, is read again, so that neither change is lost.
    """
    for _ in range(MOST_TRIES):
        shown, cards, packed = _make_group(wish, group, stored, held)
        # Only what has changed is written, so that a page fetched ahead cannot undo a pass that begins meanwhile.
        if packed == stored or _replace(wish.uid, stored, packed):
            break
        stored = cast(bytes | None, redis.client.get(pass_key(wish.uid)))
        held = _unpack(stored)
    else:
        log.warning("a pass changes faster than it can be stored")
    cards |= fitting_cards(wish, [uid for uid in shown if uid not in cards], GROUP_SIZE)
    return {uid: cards[uid] for uid in shown if uid in cards}


def _make_group(wish: Wish, group: int, stored: Any, held: Pass | None) -> tuple[list[int], dict[int, CardRow], bytes]:
    """Whom a group shows, the cards known by now, and the pass to store; a new day or changed wishes start a new one.

    `held` is what `stored` holds.
    """
    # A pass that a new day or a changed wish interrupts goes on with a new list at the group asked for.
    base = group if stored else 0
    if held and held.wish != wish.fingerprint:
        held = None
    if held and group:
        shown, cards, current = _go_on(wish, held, group)
    else:
        fresh = Pass(wish.fingerprint, base, day=wish.day.toordinal())
        goes_on = msgspec.structs.replace(held, base=base) if held else fresh
        shown, cards, current = _start(wish, goes_on, group)
        if held and len(shown) < GROUP_SIZE:
            shown, cards, current = _start(wish, fresh, group)
    return shown, cards, _pack(current)


def _start(wish: Wish, current: Pass, group: int) -> tuple[list[int], dict[int, CardRow], Pass]:
    """The first group of a pass: `current` with those who like the caller now, and without those who fell out.

    The cards are of those who were looked at first, whom nearly every group consists of.
    """
    wanted = (max(0, group - current.base) + 1) * GROUP_SIZE
    candidates = current.ids(0, HEAD)
    likers, cards = look_again(wish, candidates, GROUP_SIZE)
    if len(cards) == GROUP_SIZE:
        # Nobody knows of those behind the last one.
        candidates = candidates[: candidates.index([*cards][-1]) + 1]
    current.drop(set(candidates).difference(cards))
    if likers == current.likers:
        # As nearly always: the right people were looked at together with who likes the caller.
        good = len(cards)
    else:
        current.likers = likers
        good = len(likers)
    _fill(wish, current, good, wanted)
    return current.ids(wanted - GROUP_SIZE, wanted), cards, current


def _fill(wish: Wish, current: Pass, good: int, wanted: int) -> None:
    """Take people out from behind the first `good` until all of the first `wanted` may be shown, or nobody is left."""
    size = HEAD
    while good < wanted:
        candidates = current.ids(good, good + size)
        if candidates:
            fitting = still_fitting(wish, candidates)
            current.drop(set(candidates) - set(fitting))
            good += len(fitting)
            size = min(size * 2, MAX_CHUNK)
        elif current.is_whole:
            break
        else:
            current.extend(wish, PASS_STEP)


def _go_on(wish: Wish, current: Pass, group: int) -> tuple[list[int], dict[int, CardRow], Pass]:
    """A later group of the pass."""
    start = max(0, group - current.base) * GROUP_SIZE
    asked = current.ids(start, start + GROUP_SIZE)
    if len(asked) < GROUP_SIZE and not current.is_whole:
        lacking = start + GROUP_SIZE - len(current.ids(0, sys.maxsize))
        current.extend(wish, max(lacking, PASS_STEP))
        asked = current.ids(start, start + GROUP_SIZE)
    cards = fitting_cards(wish, asked, GROUP_SIZE)
    shown = list(cards)
    if asked and not shown:
        # All were swiped on an earlier pass, or have left. Those behind come forward: an empty group ends the deck.
        _fill(wish, current, start, start + GROUP_SIZE)
        shown = current.ids(start, start + GROUP_SIZE)
    return shown, cards, current


def _explain(account: Account, current: VipStatus, wish: Wish, group: int) -> dict[str, Any]:
    """Why a group is empty, and which preferences would bring new people if they were relaxed."""
    # Group 0 has just walked the whole deck in vain.
    if group and _has_anyone(wish):
        reason = "end_of_deck"
    elif fits_anyone(wish):
        reason = "all_swiped"
    else:
        reason = "nobody_fits"
    return {"reason": reason, "relax": _worth_relaxing(account, current, wish)}


def _has_anyone(wish: Wish) -> bool:
    return next(unseen_rest(wish), None) is not None


def _worth_relaxing(account: Account, current: VipStatus, wish: Wish) -> list[str]:
    """The preferences that alone keep unseen people away; another city only for those who may choose one."""
    own: dict[str, Any] = {
        "sex": account.wanted_sex,
        "location": wish.location,
        "min_age": account.min_dating_age,
        "max_age": account.max_dating_age,
        "day": wish.day,
    }
    wider: dict[str, dict[str, Any]] = {
        "dating_sex": {"sex": DatingSex.ANY},
        "min_dating_age": {"min_age": 18},
        "max_dating_age": {"max_age": 100},
    }
    relax = [
        name
        for name, change in wider.items()
        if own | change != own and has_more_unseen(wish, make_wish(account, **(own | change)))
    ]
    if current.has(Permission.ANYLOCATION) and has_unseen_elsewhere(wish):
        relax.append("dating_location")
    return relax
