"""Keeps ended matches of deleted accounts by the digest of the number, and ends them again when the number returns."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from swiper.db.transactions import after_commit, transactional
from swiper.extensions import this_app
from swiper.profiles.deleted_numbers import oldest_kept
from swiper.signals import account_deleting, account_returning
from swiper.social.models import ENDED, MATCHED, POINTS, SwipeKind
from swiper.social.queries import ended_matches as queries
from swiper.social.queries.ended_matches import Ended
from swiper.social.queries.people import accounts_among
from swiper.social.queries.ranking import insert_changes
from swiper.social.ranking import add_all

# People in one statement, and numbers that one transaction of the purge removes.
BATCH = 500
PURGE_BATCH = 50


def keep_ended_matches(_sender: Any, *, uid: int, digests: list[str], deleted_at: datetime, **_: Any) -> None:
    """Store the ended matches of a user under the first digest, in the transaction that deletes the account."""
    for digest in digests:
        queries.remove_kept(digest)
    for batch in _batches(queries.ended_matches_of(uid)):
        queries.keep(
            [
                {"digest": digests[0], "uid": other, "ended_at": ended_at, "deleted_at": deleted_at}
                for other, ended_at in batch
            ]
        )


def end_matches_again(_sender: Any, *, uid: int, digest: str) -> None:
    """Give a new account the ended matches of its number, in the transaction that makes the account.

    As after any ended match, both people have liked each other, so each deck leaves the other person out.
    """
    for batch in _batches(queries.kept_ended_matches(digest, oldest_kept())):
        existing = accounts_among([other for other, _ in batch])
        _end_again(uid, [ended for ended in batch if ended[0] in existing])


def _end_again(uid: int, ended: list[Ended]) -> None:
    if not ended:
        return
    # These swipes are too old for a rewind, so none of them can be somebody's last swipe.
    window = timedelta(seconds=this_app().config["REWIND_WINDOW_SECONDS"] + 1)
    pairs, swipes, changes = [], [], []
    for other, ended_at in ended:
        pairs.append(
            {"uid1": min(uid, other), "uid2": max(uid, other), "mask": MATCHED | ENDED, "changed_at": ended_at}
        )
        for one, liked in ((uid, other), (other, uid)):
            swipes.append({"uid": one, "sid": liked, "kind": SwipeKind.LIKE, "swiped_at": ended_at - window})
            changes.append((liked, ended_at - window, POINTS[SwipeKind.LIKE]))
    queries.insert_ended(pairs, swipes)
    # The count of the ranking has passed this time already.
    insert_changes(changes, are_removals=False)
    points = {other: POINTS[SwipeKind.LIKE] for other, _ in ended} | {uid: POINTS[SwipeKind.LIKE] * len(ended)}
    after_commit(lambda: add_all(points))


def _batches(ended: list[Ended]) -> Iterator[list[Ended]]:
    return (ended[start : start + BATCH] for start in range(0, len(ended), BATCH))


@transactional
def forget_ended_matches(uid: int) -> None:
    """Remove the ended matches in which a deleted user is the other person."""
    queries.remove_all_with(uid)


@transactional
def purge() -> int:
    """Remove the ended matches of numbers that are kept no longer. Return of how many, at most `PURGE_BATCH`."""
    return queries.remove_expired(oldest_kept(), PURGE_BATCH)


account_deleting.connect(keep_ended_matches)
account_returning.connect(end_matches_again)
