"""Matches: the list of friends, the end of a match, and the repair of incomplete matches."""

from datetime import datetime
from typing import Any

from swiper.db.replicas import on_replica
from swiper.db.statements import read
from swiper.db.transactions import transactional
from swiper.errors import NotFoundError
from swiper.http.pages import page_of
from swiper.profiles.cards import cards_of
from swiper.social.models import ENDED
from swiper.social.pairs import add_friend, lock_pair, set_mask
from swiper.social.queries import matches as queries
from swiper.social.queries.people import ACTIVE

# People about whom one statement asks.
CHUNK = 5_000
# Matches that one run of the repair reads.
REPAIR_BATCH = 1_000


def are_friends(uid: int, others: list[int]) -> set[int]:
    """Return those of `others` who are friends of `uid`."""
    if not others:
        return set()
    (rows,) = read((queries.FRIENDS_AMONG, {"uid": uid, "uids": others}))
    return {other for (other,) in rows}


def list_friends(uid: int, page: int, per_page: int) -> dict[str, Any]:
    """Return one page of the caller's matches, newest first: cards with `matched_at`.

    Each page reads the ids of all matches, since `total` leaves out the suspended. A match takes two likes, so few
    people have more than some thousand.
    """
    above, below = read((queries.MATCHES_ABOVE, {"uid": uid}), (queries.MATCHES_BELOW, {"uid": uid}))
    matched_at: dict[int, datetime] = dict([*above, *below])
    active = _active_among(list(matched_at))
    others = sorted(active, key=lambda other: (matched_at[other], other), reverse=True)
    shown = others[(page - 1) * per_page : page * per_page]
    cards = on_replica(lambda: cards_of(shown, friends=active))
    items = [card | {"matched_at": matched_at[card["id"]]} for card in cards]
    return page_of(items, len(others), page, per_page)


def _active_among(uids: list[int]) -> set[int]:
    """Return those of `uids` who have an active account."""
    found: set[int] = set()
    for start in range(0, len(uids), CHUNK):
        (rows,) = read((ACTIVE, {"uids": uids[start : start + CHUNK]}))
        found.update(uid for (uid,) in rows)
    return found


@transactional
def unfriend(uid: int, target_id: int) -> None:
    """End a match for both people, for good. Both have swiped, so neither comes back into the other's deck.

    A match that has ended already stays as it is. Raises NotFoundError if there never was a match.
    """
    if uid == target_id:
        raise NotFoundError()
    pair = lock_pair(uid, target_id)
    if pair.is_matched:
        set_mask(pair, pair.mask | ENDED)
    elif not pair.is_ended:
        raise NotFoundError()


def matches_to_repair() -> list[tuple[int, int]]:
    """Return the keys of pairs of two likes that have no friendship row.

    Both are written in one transaction, so there are such pairs only after a restored backup or a manual change.
    """
    return queries.matches_to_repair(REPAIR_BATCH)


@transactional
def repair_match(uid1: int, uid2: int) -> bool:
    """Insert the friendship row of a pair. Return False if the match has ended meanwhile."""
    pair = lock_pair(uid1, uid2)
    if pair.is_matched:
        add_friend(pair)
    return pair.is_matched
