"""The deck: which people a user is shown, in which order, group by group.

A deck session is the list of people that a user looks through. Group 0 begins a deck session: superlikers first, then
other likers, then the other people who fit, in an order that stays the same all day. Later groups are slices of the
same list, so no swipe makes the deck repeat or skip anyone. At the end of the list, more candidates are read.

A new deck session keeps the candidates of the former one, without those who were swiped since, and continues to read at
the same cursor. So a group costs the same however many people the caller has swiped, and however many there are. Only
when fewer people than a group are left, the candidates are read from the beginning, to find people who came since.

Everyone who is shown is checked again in the database.
"""

import logging
from datetime import date
from typing import Any

import msgspec

from swiper.profiles.cards import CardRow, complete_cards
from swiper.profiles.profiles import Account
from swiper.social.candidates import MAX_CHUNK, fitting_cards, likers_and_cards, still_fitting, unseen_candidates
from swiper.social.deck_session import (
    MAX_ATTEMPTS,
    DeckCriteria,
    DeckSession,
    criteria_of,
    load_session,
    pack,
    replace_session,
    unpack,
)
from swiper.social.empty_deck import explain
from swiper.vip.levels import VipStatus

log = logging.getLogger(__name__)

GROUP_SIZE = 5
LAST_GROUP = 1_999
# A deck session grows by so many candidates at once.
GROWTH = 100
# So many candidates are checked first when a deck session begins.
HEAD = 10


def show_deck(
    account: Account, vip_status: VipStatus, group: int, read: list[bytes | None] | None = None
) -> tuple[list[int], dict[str, Any]]:
    """Return the ids of a group of the deck, and the response with `users` and `empty`.

    If there is nobody to show, `empty` has the reason and advice. `read` holds the value of `session_key` in Redis if
    the caller has read it already. Raises ProfileError if the profile is not complete.
    """
    criteria = criteria_of(account, vip_status)
    stored = read[0] if read else load_session(criteria.uid)
    held = unpack(stored)
    if held and held.day > criteria.day.toordinal():
        # The clock of this machine is behind the one that made the deck session. Only a later day changes the order.
        criteria = criteria_of(account, vip_status, date.fromordinal(held.day))
    shown = _cards_of_group(criteria, group, stored, held)
    empty = None if shown else explain(account, vip_status, criteria, group)
    return list(shown), {"users": complete_cards(shown.values()), "empty": empty}


def _cards_of_group(
    criteria: DeckCriteria, group: int, stored: bytes | None, held: DeckSession | None
) -> dict[int, CardRow]:
    """Return the cards of a group by id, in its order, and store the deck session if it has changed.

    If a rewind or another request has replaced the stored deck session meanwhile, the group is made again from that
    one.
    """
    for _ in range(MAX_ATTEMPTS):
        shown, cards, session = _make_group(criteria, group, stored, held)
        packed = pack(session)
        # A session that has not changed is not stored: it must not replace one that begins meanwhile.
        if packed == stored or replace_session(criteria.uid, stored, packed):
            break
        stored = load_session(criteria.uid)
        held = unpack(stored)
    else:
        log.warning("a deck session changes faster than it can be stored")
    cards |= fitting_cards(criteria, [uid for uid in shown if uid not in cards], GROUP_SIZE)
    return {uid: cards[uid] for uid in shown if uid in cards}


def _make_group(
    criteria: DeckCriteria, group: int, stored: bytes | None, held: DeckSession | None
) -> tuple[list[int], dict[int, CardRow], DeckSession]:
    """Return the ids of a group, the cards that are known by now, and the deck session to store.

    `held` is the unpacked `stored`. It is not used on a new day or with changed criteria.
    """
    # A session that a new day or changed criteria interrupt continues with a new list at the group asked for.
    first_group = group if stored else 0
    if held and held.criteria != criteria.fingerprint:
        held = None
    if held and group:
        return _later_group(criteria, held, group)
    fresh = DeckSession(criteria.fingerprint, first_group, day=criteria.day.toordinal())
    session = msgspec.structs.replace(held, first_group=first_group) if held else fresh
    shown, cards, session = _first_group(criteria, session, group)
    if held and len(shown) < GROUP_SIZE:
        shown, cards, session = _first_group(criteria, fresh, group)
    return shown, cards, session


def _first_group(
    criteria: DeckCriteria, session: DeckSession, group: int
) -> tuple[list[int], dict[int, CardRow], DeckSession]:
    """Return the first group of a deck session that gets the likers of this moment and loses those who fit no more.

    The cards are those of the candidates that were checked first. Nearly every group consists of these.
    """
    wanted = (max(0, group - session.first_group) + 1) * GROUP_SIZE
    checked = session.ids(0, HEAD)
    likers, cards = likers_and_cards(criteria, checked, GROUP_SIZE)
    if len(cards) == GROUP_SIZE:
        # The people after the last card were not checked.
        checked = checked[: checked.index([*cards][-1]) + 1]
    session.remove(set(checked).difference(cards))
    if likers == session.likers:
        # This is the usual case: the right people were checked together with the likers.
        good = len(cards)
    else:
        session.likers = likers
        good = len(likers)
    _fill(criteria, session, good, wanted)
    return session.ids(wanted - GROUP_SIZE, wanted), cards, session


def _later_group(
    criteria: DeckCriteria, session: DeckSession, group: int
) -> tuple[list[int], dict[int, CardRow], DeckSession]:
    """Return a later group of the deck session, and the cards of those in it who still fit."""
    start = max(0, group - session.first_group) * GROUP_SIZE
    asked = session.ids(start, start + GROUP_SIZE)
    if len(asked) < GROUP_SIZE and not session.is_complete:
        lacking = start + GROUP_SIZE - len(session.ids(0, None))
        _grow(criteria, session, max(lacking, GROWTH))
        asked = session.ids(start, start + GROUP_SIZE)
    cards = fitting_cards(criteria, asked, GROUP_SIZE)
    shown = list(cards)
    if asked and not shown:
        # All of them were swiped before, or have left. The next people move up, since an empty group ends the deck.
        _fill(criteria, session, start, start + GROUP_SIZE)
        shown = session.ids(start, start + GROUP_SIZE)
    return shown, cards, session


def _fill(criteria: DeckCriteria, session: DeckSession, good: int, wanted: int) -> None:
    """Remove people who do not fit until the first `wanted` of the list fit, or the list ends. The first `good` do."""
    size = HEAD
    while good < wanted:
        checked = session.ids(good, good + size)
        if checked:
            fitting = still_fitting(criteria, checked)
            session.remove(set(checked) - set(fitting))
            good += len(fitting)
            size = min(size * 2, MAX_CHUNK)
        elif session.is_complete:
            break
        else:
            _grow(criteria, session, GROWTH)


def _grow(criteria: DeckCriteria, session: DeckSession, count: int) -> None:
    """Add the next `count` candidates to the list. If there are fewer, the deck session is complete."""
    found = session.candidate_ids
    known, wanted = set(found), len(found) + count
    session.is_complete = True
    for cursor in unseen_candidates(criteria, session.cursor):
        session.cursor = cursor
        if cursor[1] not in known:
            found.append(cursor[1])
        if len(found) >= wanted:
            session.is_complete = False
            break
    session.set_candidates(found)
