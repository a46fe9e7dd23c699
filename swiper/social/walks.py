"""Who fits a wish and is not swiped, as the database has it: one by one round the circle, or asked about by id."""

import heapq
import itertools
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from swiper.clock import now
from swiper.db.statements import Row, Step, on_single_node, read
from swiper.profiles.cards import CardRow
from swiper.profiles.profiles import age_on
from swiper.social import queries
from swiper.social.wishes import FULL_CIRCLE, Wish

# A pass grows by 100 people; so many are read at once that some of them may be swiped already.
CHUNK = 120
MAX_CHUNK = 2_000
# So many superlikers, and as many likers, are looked at when a pass begins; whoever waits behind them is in the rest.
LIKERS = 100

# Higher than any id.
NOBODY = 2**63 - 1

Place = tuple[int, int]


def _values_for(wish: Wish, uids: list[int]) -> dict[str, Any]:
    """The values of `queries.FITS` for questions about `uids` alone."""
    likers: list[int] = []
    if wish.from_id and uids:
        likers = _ids((queries.LIKERS_SINCE, {"uid": wish.uid, "since": wish.from_moment, "uids": uids}))
    return wish.values | {"likers": likers}


def _values_at_once(wish: Wish, uids: list[int], count: int) -> dict[str, Any]:
    """The values of the statements for single-node PostgreSQL."""
    return wish.values | {"since": wish.from_moment, "uids": uids, "now": now(), "count": count}


def _values_of_all(wish: Wish) -> Iterator[dict[str, Any]]:
    """The values of `queries.FITS` for all who may fit: those from `from_id` on, then pages of older likers."""
    yield wish.values | {"likers": []}
    yield from _values_of_old_likers(wish)


def _values_of_old_likers(wish: Wish) -> Iterator[dict[str, Any]]:
    """The values of `queries.FITS` for the likers whose ids are lower than `from_id`, page by page."""
    values = {"uid": wish.uid, "since": wish.from_moment, "from_id": wish.from_id, "after": 0, "count": MAX_CHUNK}
    page = _ids((queries.OLD_LIKERS, values)) if wish.from_id else []
    while page:
        yield wish.values | {"from_id": NOBODY, "likers": page}
        page = _ids((queries.OLD_LIKERS, values | {"after": page[-1]})) if len(page) == MAX_CHUNK else []


def _ids(step: Step) -> list[int]:
    (rows,) = read(step)
    return [uid for (uid,) in rows]


def _look_again_at_once(wish: Wish, uids: list[int], count: int) -> tuple[list[int], dict[int, CardRow]]:
    (rows,) = read((queries.CARDS_AND_LIKERS_AT_ONCE, _values_at_once(wish, uids, count) | {"most": LIKERS}))
    return [row[0] for row in rows if row[1] is None], _cards_of_rows(wish.day, rows)


@on_single_node(_look_again_at_once)
def look_again(wish: Wish, uids: list[int], count: int) -> tuple[list[int], dict[int, CardRow]]:
    """Who waits for the caller's answer and fits, and what `fitting_cards` returns for `uids`.

    Superlikers come first, then likers, in each case those who have waited longest.
    """
    (found,) = read((queries.SWIPED_AND_LIKERS, {"uid": wish.uid, "uids": uids, "most": LIKERS}))
    swiped = {uid for part, uid, _ in found if not part}
    waiting = sorted((part, liked_at, uid) for part, uid, liked_at in found if part)
    return _fitting(wish, [uid for uid in uids if uid not in swiped], [uid for _, _, uid in waiting], count)


def _fitting_cards_at_once(wish: Wish, uids: list[int], count: int) -> dict[int, CardRow]:
    if not uids:
        return {}
    (rows,) = read((queries.FITTING_CARDS_AT_ONCE, _values_at_once(wish, uids, count)))
    return _cards_of_rows(wish.day, rows)


@on_single_node(_fitting_cards_at_once)
def fitting_cards(wish: Wish, uids: list[int], count: int) -> dict[int, CardRow]:
    """The cards of the first `count` of `uids` who fit the wish and are not swiped, in the same order."""
    _, cards = _fitting(wish, unseen(wish.uid, uids), [], count)
    return cards


def _fitting(wish: Wish, uids: list[int], others: list[int], count: int) -> tuple[list[int], dict[int, CardRow]]:
    """Those of `others` who fit, and the cards of the first `count` of `uids` who do, both in their order."""
    if not (uids or others):
        return [], {}
    (rows,) = read((queries.FITTING_CARDS, _values_for(wish, uids + others) | {"uids": uids, "others": others}))
    found = {uid: (card, birthday) for uid, card, birthday in rows}
    shown = [uid for uid in uids if uid in found][:count]
    levels: dict[int, int] = {}
    if shown:
        (of_members,) = read((queries.LEVELS, {"uids": shown, "now": now()}))
        levels = dict(of_members)
    cards = {uid: _kept_card(wish.day, uid, *found[uid], levels.get(uid)) for uid in shown}
    return [uid for uid in others if uid in found], cards


def _cards_of_rows(day: date, rows: Sequence[Row]) -> dict[int, CardRow]:
    return {uid: _kept_card(day, uid, card, birthday, level) for uid, card, birthday, level in rows if card is not None}


def _kept_card(day: date, uid: int, card: bytes, birthday: date, level: int | None) -> CardRow:
    return uid, card, age_on(day, birthday), level


def still_fitting(wish: Wish, uids: list[int]) -> list[int]:
    """Those of `uids` who fit the wish and are not swiped, in the same order."""
    if not uids:
        return []
    fitting, swiped = read(
        (queries.FITTING, _values_for(wish, uids) | {"uids": uids}), (queries.SWIPED, {"uid": wish.uid, "uids": uids})
    )
    left = {uid for _, uid in fitting} - {uid for (uid,) in swiped}
    return [uid for uid in uids if uid in left]


def unseen(uid: int, others: list[int]) -> list[int]:
    """Those of `others` whom `uid` has not swiped."""
    if not others:
        return []
    seen = set(_ids((queries.SWIPED, {"uid": uid, "uids": others})))
    return [other for other in others if other not in seen]


def fits_anyone(wish: Wish) -> bool:
    """True where somebody fits the wish, swiped or not."""
    return any(_ids((queries.ANY_FITTING, values)) for values in _values_of_all(wish))


def has_more_unseen(narrow: Wish, wider: Wish) -> bool:
    """True where `wider` has somebody whom `narrow` excludes and who is not swiped; looks at `MAX_CHUNK` people.

    Both are wishes of the same caller. Of older likers it looks at as many of each page.
    """
    for values in _values_of_all(wider):
        both = narrow.values | {name: values[name] for name in ("from_id", "likers")} | {"count": MAX_CHUNK}
        both |= {f"wider_{name}": value for name, value in values.items()}
        if unseen(narrow.uid, _ids((queries.ONLY_WIDER, both))):
            return True
    return False


def has_unseen_elsewhere(wish: Wish) -> bool:
    """True where another city has somebody who fits otherwise and is not swiped; looks at `MAX_CHUNK` people.

    Of older likers it looks at as many of each page.
    """
    return any(
        unseen(wish.uid, _ids((queries.ELSEWHERE, values | {"count": MAX_CHUNK}))) for values in _values_of_all(wish)
    )


def unseen_rest(wish: Wish, after: Place | None = None) -> Iterator[Place]:
    """`(shuffle, uid)` of all unseen people who fit, beginning at the caller's pivot or behind `after`, once round."""

    def turn(place: Place) -> Place:
        return (place[0] - wish.pivot) % FULL_CIRCLE, place[1]

    values = wish.values | {"likers": []}
    walks = [_walk(values | {"sex": sex}, wish.pivot, after) for sex in wish.sexes]
    older = sorted(_places_of_old_likers(wish), key=turn)
    walks.append(iter([place for place in older if after is None or turn(place) > turn(after)]))
    turned = heapq.merge(*walks, key=turn)
    size = CHUNK
    while chunk := list(itertools.islice(turned, size)):
        left = set(unseen(wish.uid, [uid for _, uid in chunk]))
        yield from (place for place in chunk if place[1] in left)
        size = min(size * 2, MAX_CHUNK)


def _places_of_old_likers(wish: Wish) -> Iterator[Place]:
    for values in _values_of_old_likers(wish):
        (rows,) = read((queries.FITTING, values | {"uids": values["likers"]}))
        yield from rows


def _walk(values: dict[str, Any], pivot: int, after: Place | None) -> Iterator[Place]:
    """`(shuffle, uid)` of everyone of one sex who fits, read chunk by chunk."""
    halves = [(pivot, FULL_CIRCLE - 1), (0, pivot - 1)]
    if after is not None and after[0] < pivot:
        del halves[0]
    last = after
    for low, high in halves:
        place, uid = last or (low, 0)
        last = None
        while True:
            step = queries.WALK, values | {"low": place, "high": high, "after": uid, "count": CHUNK}
            (rows,) = read(step)
            yield from rows
            if len(rows) < CHUNK:
                break
            place, uid = rows[-1]
