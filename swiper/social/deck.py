"""The deck: whom a user is shown, in which order, page by page.

A pass through the deck is a list of ids kept in Redis. Group 0 starts a pass: superlikers first, likers next, then the
rest of the wanted people in an order that stays the same all day. Later groups are slices of the same list, so that
swiping neither repeats nor skips anyone; when the list ends it is continued. Before anyone is shown, everything that
the rules ask for is checked again in the database.
"""

import heapq
import itertools
import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Select, and_, exists, or_, select

from swiper.auth.models import DatingSex, Discovery, Sex
from swiper.auth.profiles import Account, cards_of
from swiper.extensions import db, redis
from swiper.signals import account_deleted
from swiper.social.friends import are_friends
from swiper.social.models import LikeIn, Swipe
from swiper.social.wishes import FULL_CIRCLE, Wish, make_wish, wish_of
from swiper.vip.levels import Standing
from swiper.vip.models import Permission

GROUP_SIZE = 5
LAST_GROUP = 1_999
# A pass is made, and continued, in steps of this many people.
PASS_STEP = 100
CHUNK = 200
MAX_CHUNK = 2_000
PASS_SECONDS = 86_400


def show_deck(account: Account, current: Standing, group: int) -> dict[str, Any]:
    """One group of the deck: `users`, and `empty` with reason and advice when there is nobody to show."""
    wish = wish_of(account, current)
    ids = _group_ids(wish, group)
    shown = _still_fitting(wish, ids)
    cards = cards_of(shown, friends=are_friends(wish.uid, shown))
    return {"users": cards, "empty": None if cards else _explain(account, current, wish, group)}


def _group_ids(wish: Wish, group: int) -> list[int]:
    """The ids of a group of the current pass; group 0, a new day or changed wishes start a new pass."""
    key = _pass_key(wish.uid)
    stored = redis.client.get(key)
    current = json.loads(stored) if stored and group else None
    if current is None or current["wish"] != wish.fingerprint:
        # A pass that a new day or a changed wish interrupts goes on with a new list at the group asked for.
        base = group if current else 0
        current = {"wish": wish.fingerprint, "base": base, "ids": [], "is_whole": False}
    start = max(0, group - current["base"]) * GROUP_SIZE
    ids: list[int] = current["ids"]
    lacking = start + GROUP_SIZE - len(ids)
    if lacking > 0 and not current["is_whole"]:
        wanted = max(lacking, PASS_STEP)
        more = _continue(wish, ids, wanted)
        current["is_whole"] = len(more) < wanted
        ids += more
        # Only what has changed is written, so that a page fetched ahead cannot undo a pass that begins meanwhile.
        redis.client.set(key, json.dumps(current), ex=PASS_SECONDS)
    return ids[start : start + GROUP_SIZE]


def _pass_key(uid: int) -> str:
    return f"{{u:{uid}}}:deck"


def forget_pass(_sender: Any, *, uid: int) -> None:
    """A deleted user's pass tells whom they were to meet."""
    redis.client.delete(_pass_key(uid))


account_deleted.connect(forget_pass)


def _continue(wish: Wish, ids: list[int], wanted: int) -> list[int]:
    """The next `wanted` people of a pass that has `ids` already."""
    known = set(ids)
    return list(itertools.islice((uid for uid in _everyone(wish) if uid not in known), wanted))


def _everyone(wish: Wish) -> Iterator[int]:
    """Everyone who fits and is not yet swiped, in deck order, each once."""
    seen: set[int] = set()
    for uid in itertools.chain(_likers(wish, is_super=1), _likers(wish, is_super=0), _rest(wish)):
        if uid not in seen:
            seen.add(uid)
            yield uid


def _likers(wish: Wish, is_super: int) -> Iterator[int]:
    """Those who liked the caller, the longest waiting first."""
    # Both tables are read by the caller's own id, so this stays on one machine of a distributed database.
    is_answered = exists().where(Swipe.uid == wish.uid, Swipe.sid == LikeIn.uid)
    query = select(LikeIn.uid).where(LikeIn.sid == wish.uid, LikeIn.is_super == is_super, ~is_answered)
    query = query.order_by(LikeIn.liked_at, LikeIn.uid)
    for offset in itertools.count(step=CHUNK):
        chunk = list(db.session.scalars(query.limit(CHUNK).offset(offset)))
        yield from _still_fitting(wish, chunk)
        if len(chunk) < CHUNK:
            return


def _still_fitting(wish: Wish, uids: list[int]) -> list[int]:
    """Those of `uids` who fit the wish and are not swiped, in the same order."""
    if not uids:
        return []
    fitting = set(db.session.scalars(select(Discovery.uid).where(Discovery.uid.in_(uids), wish.fits())))
    return _unseen(wish.uid, [uid for uid in uids if uid in fitting])


def _unseen(uid: int, others: list[int]) -> list[int]:
    if not others:
        return []
    seen = set(db.session.scalars(select(Swipe.sid).where(Swipe.uid == uid, Swipe.sid.in_(others))))
    return [other for other in others if other not in seen]


def _rest(wish: Wish) -> Iterator[int]:
    """The unseen rest in the mixed order, beginning at the caller's pivot and going once round."""
    walks = [_walk(wish, sex) for sex in wish.sexes]
    turned = heapq.merge(*walks, key=lambda place: ((place[0] - wish.pivot) % FULL_CIRCLE, place[1]))
    size = CHUNK
    while chunk := [uid for _, uid in itertools.islice(turned, size)]:
        yield from _unseen(wish.uid, chunk)
        size = min(size * 2, MAX_CHUNK)


def _walk(wish: Wish, sex: Sex) -> Iterator[tuple[int, int]]:
    """`(shuffle, uid)` of everyone of one sex who fits, once round from the pivot, read chunk by chunk."""
    for is_second_half in (False, True):
        last: tuple[int, int] | None = None
        while True:
            rows = db.session.execute(_walk_query(wish, sex, is_second_half, last))
            chunk = [(row.shuffle, row.uid) for row in rows]
            yield from chunk
            if len(chunk) < CHUNK:
                break
            last = chunk[-1]


def _walk_query(wish: Wish, sex: Sex, is_second_half: bool, last: tuple[int, int] | None) -> Select[int, int]:
    half = Discovery.shuffle < wish.pivot if is_second_half else Discovery.shuffle >= wish.pivot
    query = select(Discovery.shuffle, Discovery.uid).where(
        Discovery.location == wish.location, Discovery.sex == sex, wish.admits(), half
    )
    if last:
        # Spelled out, since not every database uses an index for a comparison of rows.
        after = and_(Discovery.shuffle == last[0], Discovery.uid > last[1])
        query = query.where(Discovery.shuffle >= last[0], or_(Discovery.shuffle > last[0], after))
    return query.order_by(Discovery.shuffle, Discovery.uid).limit(CHUNK)


def _explain(account: Account, current: Standing, wish: Wish, group: int) -> dict[str, Any]:
    """Why a group is empty, and which preferences would bring new people if they were relaxed."""
    # Group 0 has just walked the whole deck in vain.
    if group and _has_anyone(wish):
        reason = "end_of_deck"
    elif db.session.scalar(select(Discovery.uid).where(wish.fits()).limit(1)) is not None:
        reason = "all_swiped"
    else:
        reason = "nobody_fits"
    return {"reason": reason, "relax": _worth_relaxing(account, current, wish)}


def _has_anyone(wish: Wish) -> bool:
    return next(_everyone(wish), None) is not None


def _worth_relaxing(account: Account, current: Standing, wish: Wish) -> list[str]:
    """The preferences that alone keep unseen people away; another city only for those who may choose one."""
    own: dict[str, Any] = {
        "sex": account.wanted_sex,
        "location": wish.location,
        "min_age": account.min_dating_age,
        "max_age": account.max_dating_age,
    }
    wider: dict[str, dict[str, Any]] = {
        "dating_sex": {"sex": DatingSex.ANY},
        "min_dating_age": {"min_age": 18},
        "max_dating_age": {"max_age": 100},
    }
    relax = [
        name
        for name, change in wider.items()
        if own | change != own and _brings_more(wish, make_wish(account, **(own | change)))
    ]
    if current.has(Permission.ANYLOCATION) and _has_elsewhere(wish):
        relax.append("dating_location")
    return relax


def _brings_more(narrow: Wish, wide: Wish) -> bool:
    """True where the wider wish has somebody whom the narrow one excludes and who is not swiped."""
    fits_only_wide = select(Discovery.uid).where(wide.fits(), ~narrow.fits()).limit(MAX_CHUNK)
    return bool(_unseen(narrow.uid, list(db.session.scalars(fits_only_wide))))


def _has_elsewhere(wish: Wish) -> bool:
    elsewhere = select(Discovery.uid).where(
        Discovery.location != wish.location, Discovery.sex.in_(wish.sexes), wish.admits()
    )
    return bool(_unseen(wish.uid, list(db.session.scalars(elsewhere.limit(MAX_CHUNK)))))
