"""Candidate queries: who fits the criteria of a caller and is not swiped yet, in the order of the deck or by id."""

import heapq
import itertools
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from swiper.clock import now
from swiper.db.replicas import read_lagging
from swiper.db.statements import Row, Step, on_single_node, read
from swiper.profiles.cards import CardRow
from swiper.profiles.profiles import age_on
from swiper.social.deck_session import SHUFFLE_END, Cursor, DeckCriteria
from swiper.social.queries import deck as queries

# People read at once. A deck grows by 100 people, and some of those who are read may be swiped already.
CHUNK = 120
MAX_CHUNK = 2_000
# A deck begins with up to so many superlikers and as many likers. More of them come among the other candidates.
MAX_LIKERS = 100
# Higher than any id.
NO_ID = 2**63 - 1


def _ids(step: Step) -> list[int]:
    (rows,) = read(step)
    return [uid for (uid,) in rows]


def unseen(uid: int, others: list[int]) -> list[int]:
    """Return those of `others` whom `uid` has not swiped, in the same order."""
    if not others:
        return []
    seen = set(_ids((queries.SWIPED, {"uid": uid, "uids": others})))
    return [other for other in others if other not in seen]


# --- The values of `queries.FITS` ---


def _values_for(criteria: DeckCriteria, uids: list[int]) -> dict[str, Any]:
    """Return the values for a question about `uids`."""
    likers: list[int] = []
    if criteria.from_id and uids:
        likers = _ids((queries.LIKERS_SINCE, {"uid": criteria.uid, "since": criteria.from_moment, "uids": uids}))
    return criteria.values | {"likers": likers}


def _single_node_values(criteria: DeckCriteria, uids: list[int], count: int) -> dict[str, Any]:
    """Return the values of the statements for single-node PostgreSQL."""
    return criteria.values | {"since": criteria.from_moment, "uids": uids, "now": now(), "count": count}


def all_values(criteria: DeckCriteria) -> Iterator[dict[str, Any]]:
    """Yield the values for all people: first for those from `from_id` on, then for pages of older likers."""
    yield criteria.values | {"likers": []}
    yield from _old_liker_values(criteria)


def _old_liker_values(criteria: DeckCriteria) -> Iterator[dict[str, Any]]:
    """Yield the values for the likers with ids lower than `from_id`, page by page."""
    since = {"uid": criteria.uid, "since": criteria.from_moment, "from_id": criteria.from_id}
    values = since | {"after": 0, "count": MAX_CHUNK}
    page = _ids((queries.OLD_LIKERS, values)) if criteria.from_id else []
    while page:
        yield criteria.values | {"from_id": NO_ID, "likers": page}
        page = _ids((queries.OLD_LIKERS, values | {"after": page[-1]})) if len(page) == MAX_CHUNK else []


# --- Questions about given people ---


def fitting(criteria: DeckCriteria, uids: list[int]) -> set[int]:
    """Return those of `uids` who fit the criteria, swiped or not."""
    if not uids:
        return set()
    (rows,) = read_lagging([(queries.FITTING, _values_for(criteria, uids) | {"uids": uids})])
    return {uid for _, uid in rows}


def still_fitting(criteria: DeckCriteria, uids: list[int]) -> list[int]:
    """Return those of `uids` who fit the criteria and are not swiped, in the same order."""
    if not uids:
        return []
    rows, swiped = read_lagging(
        [(queries.FITTING, _values_for(criteria, uids) | {"uids": uids})],
        [(queries.SWIPED, {"uid": criteria.uid, "uids": uids})],
    )
    left = {uid for _, uid in rows} - {uid for (uid,) in swiped}
    return [uid for uid in uids if uid in left]


def _likers_and_cards_single_node(
    criteria: DeckCriteria, uids: list[int], count: int
) -> tuple[list[int], dict[int, CardRow]]:
    values = _single_node_values(criteria, uids, count) | {"most": MAX_LIKERS}
    (rows,) = read((queries.CARDS_AND_LIKERS_SINGLE_NODE, values))
    return [row[0] for row in rows if row[1] is None], _cards_of_rows(criteria.day, rows)


@on_single_node(_likers_and_cards_single_node, may_lag=True)
def likers_and_cards(criteria: DeckCriteria, uids: list[int], count: int) -> tuple[list[int], dict[int, CardRow]]:
    """Return the ids of likers who wait for an answer and fit, and what `fitting_cards` returns for `uids`.

    Superlikers come first, then the others. Of each, those who have waited longest come first.
    """
    (found,) = read((queries.SWIPED_AND_LIKERS, {"uid": criteria.uid, "uids": uids, "most": MAX_LIKERS}))
    swiped = {uid for part, uid, _ in found if not part}
    likers = [uid for _, _, uid in sorted((part, liked_at, uid) for part, uid, liked_at in found if part)]
    unswiped = [uid for uid in uids if uid not in swiped]
    if not (likers or unswiped):
        return [], {}
    rows, of_members = read_lagging(_card_steps(criteria, unswiped, likers))
    fit = {uid for uid, _, _ in rows}
    return [uid for uid in likers if uid in fit], _first_cards(criteria.day, unswiped, rows, of_members, count)


def _fitting_cards_single_node(criteria: DeckCriteria, uids: list[int], count: int) -> dict[int, CardRow]:
    if not uids:
        return {}
    (rows,) = read((queries.FITTING_CARDS_SINGLE_NODE, _single_node_values(criteria, uids, count)))
    return _cards_of_rows(criteria.day, rows)


@on_single_node(_fitting_cards_single_node, may_lag=True)
def fitting_cards(criteria: DeckCriteria, uids: list[int], count: int) -> dict[int, CardRow]:
    """Return the cards, by id, of the first `count` of `uids` who fit and are not swiped, in the same order."""
    if not uids:
        return {}
    rows, of_members, found = read_lagging(
        _card_steps(criteria, uids, []), [(queries.SWIPED, {"uid": criteria.uid, "uids": uids})]
    )
    swiped = {uid for (uid,) in found}
    return _first_cards(criteria.day, [uid for uid in uids if uid not in swiped], rows, of_members, count)


def _card_steps(criteria: DeckCriteria, uids: list[int], others: list[int]) -> list[Step]:
    """Return the statements that read who of `uids` and `others` fits, and the cards and levels of `uids`.

    They do not depend on each other, so they can be sent together.
    """
    values = _values_for(criteria, uids + others)
    return [
        (queries.FITTING_CARDS, values | {"uids": uids, "asked": uids + others}),
        (queries.LEVELS, {"uids": uids, "now": now()}),
    ]


def _first_cards(
    day: date, uids: list[int], rows: Sequence[Row], of_members: Sequence[Row], count: int
) -> dict[int, CardRow]:
    """Return the cards of the first `count` of `uids` who are among `rows`, in the order of `uids`."""
    found = {uid: (card, birthday) for uid, card, birthday in rows}
    levels: dict[int, int] = dict(of_members)
    shown = [uid for uid in uids if uid in found][:count]
    return {uid: _card_row(day, uid, *found[uid], levels.get(uid)) for uid in shown}


def _cards_of_rows(day: date, rows: Sequence[Row]) -> dict[int, CardRow]:
    return {uid: _card_row(day, uid, card, birthday, level) for uid, card, birthday, level in rows if card is not None}


def _card_row(day: date, uid: int, card: bytes, birthday: date, level: int | None) -> CardRow:
    return uid, card, age_on(day, birthday), level


# --- The order of the deck ---


def unseen_candidates(criteria: DeckCriteria, after: Cursor | None = None) -> Iterator[Cursor]:
    """Yield the positions of all people who fit and are not swiped, in the order of the caller's deck.

    The order starts at `criteria.start`, or after the position `after`, and ends before `criteria.start` is reached
    again. Rows are read chunk by chunk.
    """

    def rank(cursor: Cursor) -> Cursor:
        return (cursor[0] - criteria.start) % SHUFFLE_END, cursor[1]

    values = criteria.values | {"likers": []}
    parts = [_candidates(values | {"sex": sex}, criteria.start, after) for sex in criteria.sexes]
    older = sorted(_old_likers(criteria), key=rank)
    parts.append(iter([cursor for cursor in older if after is None or rank(cursor) > rank(after)]))
    merged = heapq.merge(*parts, key=rank)
    size = CHUNK
    while chunk := list(itertools.islice(merged, size)):
        left = set(unseen(criteria.uid, [uid for _, uid in chunk]))
        yield from (cursor for cursor in chunk if cursor[1] in left)
        size = min(size * 2, MAX_CHUNK)


def _old_likers(criteria: DeckCriteria) -> Iterator[Cursor]:
    for values in _old_liker_values(criteria):
        (rows,) = read_lagging([(queries.FITTING, values | {"uids": values["likers"]})])
        yield from rows


def _candidates(values: dict[str, Any], start: int, after: Cursor | None) -> Iterator[Cursor]:
    """Yield the positions of everyone of one sex who fits, from `start` up and then from 0 to before `start`."""
    ranges = [(start, SHUFFLE_END - 1), (0, start - 1)]
    if after is not None and after[0] < start:
        del ranges[0]
    last = after
    for low, high in ranges:
        shuffle, uid = last or (low, 0)
        last = None
        while True:
            step = queries.CANDIDATES, values | {"low": shuffle, "high": high, "after": uid, "count": CHUNK}
            (rows,) = read_lagging([step])
            yield from rows
            if len(rows) < CHUNK:
                break
            shuffle, uid = rows[-1]
