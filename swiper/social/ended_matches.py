"""Ended matches of deleted accounts: kept by the digest of the number, and ended again when the number comes back."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select

from swiper.clock import now
from swiper.db.transactions import after_commit, transactional
from swiper.db.upsert import insert_if_absent
from swiper.extensions import db, this_app
from swiper.profiles.deleted_numbers import oldest_kept
from swiper.profiles.models import User
from swiper.signals import account_deleting, account_returning
from swiper.social.models import ENDED, MATCHED, EndedMatch, Pair, Swipe, SwipeKind
from swiper.social.ranking import POINTS, add_all

# How many people one statement is about, and how many numbers one turn of the purge forgets.
BATCH = 500
PURGE_BATCH = 50

Ended = tuple[int, datetime]


def keep_ended_matches(_sender: Any, *, uid: int, digest: str, **_: Any) -> None:
    """Write down whom a deleted user had an ended match with, in the transaction of the deletion."""
    db.session.execute(delete(EndedMatch).where(EndedMatch.digest == digest))
    deleted_at = now()
    for batch in _batches(_ended_matches_of(uid)):
        rows = [
            {"digest": digest, "uid": other, "ended_at": ended_at, "deleted_at": deleted_at}
            for other, ended_at in batch
        ]
        insert_if_absent(EndedMatch, rows, ["digest", "uid"])


def _ended_matches_of(uid: int) -> list[Ended]:
    is_ended = Pair.mask.bitwise_and(ENDED) != 0
    above = select(Pair.uid2, Pair.changed_at).where(Pair.uid1 == uid, is_ended)
    below = select(Pair.uid1, Pair.changed_at).where(Pair.uid2 == uid, is_ended)
    below = below.execution_options(everywhere="A pair is distributed by the lower of its two ids.")
    return [(other, at) for query in (above, below) for other, at in db.session.execute(query)]


def end_matches_again(_sender: Any, *, uid: int, digest: str) -> None:
    """Give a new account the ended matches of its number, in the transaction that makes the account.

    Both stand there as having liked each other, as after any ended match: the decks of both leave the other out.
    """
    query = select(EndedMatch.uid, EndedMatch.ended_at).where(
        EndedMatch.digest == digest, EndedMatch.deleted_at > oldest_kept()
    )
    for batch in _batches([(other, ended_at) for other, ended_at in db.session.execute(query)]):
        there = set(db.session.scalars(select(User.id).where(User.id.in_([other for other, _ in batch]))))
        _end_again(uid, [ended for ended in batch if ended[0] in there])


def _end_again(uid: int, ended: list[Ended]) -> None:
    if not ended:
        return
    # Older than what can be rewound, so that it is nobody's last swipe.
    window = timedelta(seconds=this_app().config["REWIND_WINDOW_SECONDS"] + 1)
    pairs, swipes = [], []
    for other, ended_at in ended:
        pairs.append(
            {"uid1": min(uid, other), "uid2": max(uid, other), "mask": MATCHED | ENDED, "changed_at": ended_at}
        )
        swipes += [
            {"uid": one, "sid": liked, "kind": SwipeKind.LIKE, "swiped_at": ended_at - window}
            for one, liked in ((uid, other), (other, uid))
        ]
    insert_if_absent(Pair, pairs, ["uid1", "uid2"])
    insert_if_absent(Swipe, swipes, ["uid", "sid"])
    points = {other: POINTS[SwipeKind.LIKE] for other, _ in ended} | {uid: POINTS[SwipeKind.LIKE] * len(ended)}
    after_commit(lambda: add_all(points))


def _batches(ended: list[Ended]) -> Iterator[list[Ended]]:
    return (ended[start : start + BATCH] for start in range(0, len(ended), BATCH))


@transactional
def forget_ended_matches(uid: int) -> None:
    """Forget whose ended matches a deleted user was the other one of."""
    others = delete(EndedMatch).where(EndedMatch.uid == uid)
    db.session.execute(others.execution_options(everywhere="Ended matches are distributed by the former phone."))


@transactional
def purge() -> int:
    """Forget the ended matches of numbers whose time is over; of how many numbers, of `PURGE_BATCH` at most."""
    is_over = EndedMatch.deleted_at < oldest_kept()
    query = select(EndedMatch.digest).where(is_over).distinct().limit(PURGE_BATCH)
    digests = list(db.session.scalars(query.execution_options(everywhere="The purge looks for any number.")))
    if digests:
        db.session.execute(delete(EndedMatch).where(EndedMatch.digest.in_(digests), is_over))
    return len(digests)


account_deleting.connect(keep_ended_matches)
account_returning.connect(end_matches_again)
