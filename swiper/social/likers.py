"""Who likes a user: the list of likers, and the number of those who wait for an answer."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from swiper.db.replicas import on_replica
from swiper.db.statements import Row, read
from swiper.http.pages import page_of
from swiper.profiles.cards import cards_of
from swiper.profiles.profiles import Account
from swiper.social.candidates import NO_ID, fitting
from swiper.social.deck_session import DeckCriteria, criteria_of
from swiper.social.friends import are_friends
from swiper.social.queries import likers as queries
from swiper.social.queries.people import ACTIVE, COUNT_ACTIVE
from swiper.vip.levels import VipStatus

# People read at once.
CHUNK = 5_000
# The highest number that `count_waiting` returns. It bounds the number of people who are checked.
COUNT_AT_MOST = 99
# Likers read first to count those who wait. Most of them fit.
FIRST_CHUNK = 2 * (COUNT_AT_MOST + 1)
# Likes read beyond a page, in case some of its people cannot be shown.
SPARE = 20
LATEST = datetime(9999, 1, 1, tzinfo=UTC)


def list_likers(uid: int, page: int, per_page: int) -> dict[str, Any]:
    """Return one page of those who like the caller, newest first: cards with `liked_at`, `is_superlike` and `answer`.

    People who are not active are left out, and those whose match with the caller was ended. `total` counts the others
    exactly: it reads the ids of all likers, and counts the active ones chunk by chunk.
    """
    start, stop = (page - 1) * per_page, page * per_page
    likes = {like[0]: like for like in itertools.islice(_newest_likes(uid, stop + SPARE), start, stop)}
    (own_swipes,) = read((queries.OWN_SWIPES, {"uid": uid, "uids": list(likes)})) if likes else ([],)
    answers: dict[int, str] = dict(own_swipes)
    items = []
    friends = are_friends(uid, list(likes))
    for card in on_replica(lambda: cards_of(list(likes), friends=friends)):
        other, liked_at, is_super = likes[card["id"]]
        items.append(card | {"liked_at": liked_at, "is_superlike": bool(is_super), "answer": answers.get(other)})
    return page_of(items, _count_shown(uid), page, per_page)


def _count_shown(uid: int) -> int:
    """Return the number of likers who can be shown."""
    total, after = 0, 0
    while True:
        (rows,) = read((queries.LIKERS, {"sid": uid, "after": after, "count": CHUNK}))
        if rows:
            # Both people have swiped before a match can end.
            answered = [liker for liker, is_answered in rows if is_answered]
            ((count,),), ended = read(
                (COUNT_ACTIVE, {"uids": [liker for liker, _ in rows]}),
                (queries.ENDED_WITH, {"uid": uid, "uids": answered}),
            )
            total += count
            if ended:
                (((count,),),) = read((COUNT_ACTIVE, {"uids": [liker for (liker,) in ended]}))
                total -= count
            after = rows[-1][0]
        if len(rows) < CHUNK:
            return total


def _newest_likes(uid: int, first: int) -> Iterator[Row]:
    """Yield the likes of people who can be shown, newest first: id, time, and 1 for a superlike.

    The first `first` likes are read at once.
    """
    before, below, size = LATEST, NO_ID, min(first, CHUNK)
    while True:
        (rows,) = read((queries.NEWEST_LIKES, {"sid": uid, "before": before, "below": below, "count": size}))
        uids = [liker for liker, _, _ in rows]
        if uids:
            active, ended = read((ACTIVE, {"uids": uids}), (queries.ENDED_WITH, {"uid": uid, "uids": uids}))
            shown = {liker for (liker,) in active} - {liker for (liker,) in ended}
            yield from (like for like in rows if like[0] in shown)
        if len(rows) < size:
            return
        below, before, _ = rows[-1]
        size = min(size * 2, CHUNK)


def count_waiting(account: Account, vip_status: VipStatus) -> dict[str, Any]:
    """Return `waiting`, the number of likers who fit and wait for an answer, and `has_more`, if there are more.

    It is 0 while the profile is not complete.
    """
    if account.missing:
        return {"waiting": 0, "has_more": False}
    count = _count_waiting(criteria_of(account, vip_status))
    return {"waiting": min(count, COUNT_AT_MOST), "has_more": count > COUNT_AT_MOST}


def _count_waiting(criteria: DeckCriteria) -> int:
    """Return the number of likers who wait and fit. It stops counting beyond `COUNT_AT_MOST`.

    None of them is suspended, since `discovery` lacks the suspended, and none has ended a match, since both people have
    swiped before a match can end.
    """
    count, after, size = 0, 0, FIRST_CHUNK
    while count <= COUNT_AT_MOST:
        (rows,) = read((queries.WAITING_LIKERS, {"sid": criteria.uid, "after": after, "count": size}))
        count += len(fitting(criteria, [liker for (liker,) in rows]))
        if len(rows) < size:
            break
        after, size = rows[-1][0], CHUNK
    return count
