"""Matches, likers, and what is left of somebody who deletes their account."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, text, union_all, update

from swiper.db.row_pages import rows_of
from swiper.db.transactions import after_commit, transactional
from swiper.errors import NotFoundError
from swiper.extensions import db
from swiper.http.schemas import page_of
from swiper.profiles.cards import cards_of
from swiper.profiles.models import Discovery, Status, User
from swiper.profiles.profiles import Account
from swiper.signals import account_deleted, account_exporting
from swiper.social import queries
from swiper.social.ended_matches import forget_ended_matches
from swiper.social.models import ENDED, MATCHED, Friend, LikeIn, Pair, Swipe
from swiper.social.pairs import befriend, lock_pair, set_mask
from swiper.social.ranking import POINTS, add_all, drop_from_ranking
from swiper.social.wishes import wish_of
from swiper.vip.levels import VipStatus

# How many of each side are taken at a time when a deleted user is forgotten.
FORGET_BATCH = 300
# How many people one statement asks about at most.
CHUNK = 5_000
# A number beyond this tells nobody more, and everyone's count stays as cheap as a page.
COUNT_AT_MOST = 99


def are_friends(uid: int, others: list[int]) -> set[int]:
    """Those of `others` who are `uid`'s friends."""
    below = select(Friend.uid1).where(Friend.uid2 == uid, Friend.uid1.in_(others))
    above = select(Friend.uid2).where(Friend.uid1 == uid, Friend.uid2.in_(others))
    return set(db.session.scalars(union_all(below, above)))


def list_friends(uid: int, page: int, per_page: int) -> dict[str, Any]:
    """One page of the caller's matches, newest first: cards with `matched_at`."""
    matches = _matches_of(uid)
    active = _active_among(list(matches))
    others = sorted(active, key=lambda other: (matches[other], other), reverse=True)
    cards = cards_of(others[(page - 1) * per_page : page * per_page], friends=active)
    items = [card | {"matched_at": matches[card["id"]]} for card in cards]
    return page_of(items, len(others), page, per_page)


def _matches_of(uid: int) -> dict[int, datetime]:
    """By the other's id: since when they match, suspended people included."""
    above = select(Friend.uid2, Friend.matched_at).where(Friend.uid1 == uid)
    below = select(Friend.uid1, Friend.matched_at).where(Friend.uid2 == uid)
    below = below.execution_options(everywhere="A match is distributed by the lower of its two ids.")
    return {other: since for query in (above, below) for other, since in db.session.execute(query)}


def _active_among(uids: list[int]) -> set[int]:
    """Those of `uids` who are neither suspended nor gone."""
    found: set[int] = set()
    for start in range(0, len(uids), CHUNK):
        query = select(User.id).where(User.id.in_(uids[start : start + CHUNK]), User.status == Status.ACTIVE)
        found.update(db.session.scalars(query))
    return found


@transactional
def unfriend(uid: int, sid: int) -> None:
    """End a match for both, for good: both have swiped, so neither comes back into the other's deck.

    Ending it again changes nothing. Raises NotFoundError where there never was a match.
    """
    if uid == sid:
        raise NotFoundError()
    pair = lock_pair(uid, sid)
    if pair.is_matched:
        set_mask(pair, pair.mask | ENDED)
    elif not pair.is_ended:
        raise NotFoundError()


def list_likers(uid: int, page: int, per_page: int) -> dict[str, Any]:
    """One page of those who liked the caller, newest first: cards with `liked_at`, `is_superlike` and own answer.

    Those whose match with the caller was ended are left out.
    """
    active = (User.id == LikeIn.uid) & (User.status == Status.ACTIVE)
    wanted = _likes(uid)
    total = db.session.scalar(select(func.count(LikeIn.uid)).join(User, active).where(wanted)) or 0
    query = select(LikeIn).join(User, active).where(wanted)
    query = query.order_by(LikeIn.liked_at.desc(), LikeIn.uid.desc())
    likes = {like.uid: like for like in db.session.scalars(query.limit(per_page).offset((page - 1) * per_page))}
    answers = select(Swipe.sid, Swipe.kind).where(Swipe.uid == uid, Swipe.sid.in_(likes))
    answered = {row.sid: row.kind for row in db.session.execute(answers)}
    cards = cards_of(list(likes), friends=are_friends(uid, list(likes)))
    items = [
        card
        | {
            "liked_at": likes[card["id"]].liked_at,
            "is_superlike": bool(likes[card["id"]].is_super),
            "answer": answered.get(card["id"]),
        }
        for card in cards
    ]
    return page_of(items, total, page, per_page)


def count_waiting(account: Account, current: VipStatus) -> dict[str, Any]:
    """How many who like the caller and fit, as in the deck, wait for an answer: `waiting`, and whether there are more.

    Without a complete profile there is nobody to answer.
    """
    if account.missing:
        return {"waiting": 0, "has_more": False}
    # Who is suspended has no row in `discovery`.
    waits = _likes(account.id) & (LikeIn.is_answered == 0)
    wish = wish_of(account, current)
    fits = text(queries.FITS_AT_ONCE).bindparams(**wish.values, since=wish.from_moment)
    fitting = select(LikeIn.uid).join(Discovery, Discovery.uid == LikeIn.uid).where(waits, fits)
    found = fitting.limit(COUNT_AT_MOST + 1).subquery()
    count = db.session.scalar(select(func.count()).select_from(found)) or 0
    return {"waiting": min(count, COUNT_AT_MOST), "has_more": count > COUNT_AT_MOST}


def _likes(uid: int) -> ColumnElement[bool]:
    """The condition that a row of `likes_in` is a like of `uid` that stands: its match was not ended."""
    return (LikeIn.sid == uid) & ~_is_ended(uid, LikeIn.uid)


def _is_ended(uid: int, other: Any) -> ColumnElement[bool]:
    """The condition that the match of `uid` and the column `other` was ended; reads one pair by its key."""
    sides = ((Pair.uid1 == uid) & (Pair.uid2 == other), (Pair.uid1 == other) & (Pair.uid2 == uid))
    is_over = Pair.mask.bitwise_and(ENDED) != 0
    return or_(*[select(Pair.mask).where(side, is_over).exists() for side in sides])


def halves_of_matches() -> list[tuple[int, int]]:
    """The pairs of two likes that have no friendship row.

    Both are written in one transaction, so this finds something only after a restored backup or a manual change.
    """
    query = (
        select(Pair.uid1, Pair.uid2)
        .outerjoin(Friend, (Friend.uid1 == Pair.uid1) & (Friend.uid2 == Pair.uid2))
        .where(Pair.mask == MATCHED, Friend.uid1.is_(None))
        .limit(1000)
        .execution_options(everywhere="The sweep looks for matches of anybody.")
    )
    return [(uid1, uid2) for uid1, uid2 in db.session.execute(query)]


@transactional
def repair_match(uid1: int, uid2: int) -> bool:
    """Give one pair its friendship row, unless the match has ended meanwhile."""
    pair = lock_pair(uid1, uid2)
    if pair.is_matched:
        befriend(pair)
    return pair.is_matched


def forget_user(uid: int) -> None:
    """Remove every swipe, like, match and pair of a deleted user, from both sides, in short transactions.

    The ranking follows: the user leaves it, and whom they swiped loses or gets back the points of that swipe.

    Whom it concerns is read from `pairs`, which has a row for everyone who swiped or was swiped, and goes last.
    """
    while _forget_some(uid):
        continue
    forget_ended_matches(uid)
    drop_from_ranking(uid)


@transactional
def _forget_some(uid: int) -> bool:
    """Remove what stands between the user and some others; False when there is nobody left."""
    above = select(Pair.uid2).where(Pair.uid1 == uid).limit(FORGET_BATCH).with_for_update()
    below = select(Pair.uid1).where(Pair.uid2 == uid).limit(FORGET_BATCH)
    below = below.execution_options(everywhere="A pair is distributed by the lower of its two ids.")
    lower = list(db.session.scalars(below))
    others = [*db.session.scalars(above), *lower]
    if not others:
        return False
    # Locked like for any other change, so that each swipe is taken back by this or by its own rewind. An update that
    # changes nothing locks rows of several machines, which FOR UPDATE cannot.
    db.session.execute(
        update(Pair).where(Pair.uid2 == uid, Pair.uid1.in_(lower)).values(mask=Pair.mask),
        execution_options={"synchronize_session": False},
    )
    swipes = db.session.execute(select(Swipe.sid, Swipe.kind).where(Swipe.uid == uid, Swipe.sid.in_(others)))
    points = {row.sid: -POINTS[row.kind] for row in swipes}
    for model, ours in (
        (Swipe, ((Swipe.uid == uid) & Swipe.sid.in_(others), (Swipe.sid == uid) & Swipe.uid.in_(others))),
        (LikeIn, ((LikeIn.uid == uid) & LikeIn.sid.in_(others), (LikeIn.sid == uid) & LikeIn.uid.in_(others))),
        (Friend, ((Friend.uid1 == uid) & Friend.uid2.in_(others), (Friend.uid2 == uid) & Friend.uid1.in_(others))),
        (Pair, ((Pair.uid1 == uid) & Pair.uid2.in_(others), (Pair.uid2 == uid) & Pair.uid1.in_(others))),
    ):
        for side in ours:
            db.session.execute(delete(model).where(side))
    after_commit(lambda: add_all(points))
    return True


def forget_deleted(_sender: Any, *, uid: int) -> None:
    """The account's own rows are gone; this removes what others' pages would still show."""
    forget_user(uid)


def export_social(_sender: Any, *, uid: int) -> dict[str, Any]:
    """The caller's own swipes and matches. Who liked them is the likers' data, and a permission of its own."""
    return {
        "swipes": rows_of(select(Swipe).where(Swipe.uid == uid)),
        "friends": rows_of(
            select(Friend)
            .where(or_(Friend.uid1 == uid, Friend.uid2 == uid))
            .execution_options(everywhere="A match is distributed by the lower of its two ids.")
        ),
    }


account_deleted.connect(forget_deleted)
account_exporting.connect(export_social)
