"""Removes what a deleted user leaves in swipes, matches and the ranking; and exports a user's swipes and matches."""

from typing import Any

from swiper.db.row_pages import rows_of
from swiper.db.transactions import after_commit, transactional
from swiper.signals import account_deleted, account_exporting
from swiper.social.ended_matches import forget_ended_matches
from swiper.social.models import POINTS
from swiper.social.queries import matches as queries
from swiper.social.queries import ranking as ranking_queries
from swiper.social.ranking import add_all, drop_from_ranking

# Pairs of each side that one transaction removes.
BATCH = 300


def remove_traces(uid: int) -> None:
    """Remove all swipes, likes, matches and pairs of a deleted user, on both sides, in short transactions.

    The user leaves the ranking, and the people whom the user swiped lose or get back the points of these swipes.
    `pairs` has a row for everyone who swiped the user or was swiped, and is removed last.
    """
    while _remove_some(uid):
        continue
    forget_ended_matches(uid)
    _delete_score(uid)
    drop_from_ranking(uid)


_delete_score = transactional(ranking_queries.delete_score)


@transactional
def _remove_some(uid: int) -> bool:
    """Remove the rows between the user and some others. Return False if nobody was left."""
    # The pairs are locked as for any other change, so either this or a rewind takes back a swipe, and never both.
    others = queries.lock_pairs_of(uid, BATCH)
    if not others:
        return False
    removed = [(target_id, at, -POINTS[kind]) for target_id, kind, at in queries.swipes_on(uid, others)]
    points = {target_id: change for target_id, _, change in removed}
    ranking_queries.insert_changes(removed, are_removals=True)
    queries.remove_between(uid, others)
    after_commit(lambda: add_all(points))
    return True


def remove_after_deletion(_sender: Any, *, uid: int) -> None:
    """Remove what other people's pages would still show after the account is gone."""
    remove_traces(uid)


def export_social(_sender: Any, *, uid: int) -> dict[str, Any]:
    """Return the caller's own swipes and matches. Who liked the caller is the likers' data and needs a permission."""
    return {"swipes": rows_of(queries.swipes_of(uid)), "friends": rows_of(queries.friends_of(uid))}


account_deleted.connect(remove_after_deletion)
account_exporting.connect(export_social)
