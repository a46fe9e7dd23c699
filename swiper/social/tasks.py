"""Celery tasks of matches and the ranking."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from celery import shared_task

from swiper.clock import now
from swiper.profiles import deleted_numbers, deletion_list
from swiper.profiles.accounts import drop_tombstone, remove_owned
from swiper.profiles.queries.deletion import list_tombstones
from swiper.social import deletions, ended_matches, friends, ranking_rebuild
from swiper.tasks.queue import only_one, sweep

# Longer than any request can take that was under way when the account was deleted.
SWEEP_AFTER = timedelta(minutes=2)
# A user may have swiped tens of thousands of people.
DELETION_LEASE_SECONDS = 120.0
# Counting all swipes of a large service, which the first rebuild does, may take longer than any other task.
REBUILD_SECONDS = 3600
PURGE_LEASE_SECONDS = 600.0


@shared_task(name="social.rebuild_ranking", time_limit=REBUILD_SECONDS)
def rebuild_ranking() -> int:
    """Count the new swipes, and correct the ranking. Return how many people it has, or 0 if another rebuild runs."""
    return ranking_rebuild.rebuild_alone() or 0


@shared_task(name="social.recount_scores", time_limit=REBUILD_SECONDS)
def recount_scores() -> None:
    """Correct the scores by all swipes: a machine's clock was wrong, or a release before this one took swipes back."""
    ranking_rebuild.rebuild_alone(counts_everybody=True)


@shared_task(name="social.restore_ranking", time_limit=REBUILD_SECONDS)
def restore_ranking() -> bool:
    """Rebuild the ranking if Redis has lost it. Return True if this task has done so."""
    return ranking_rebuild.restore_lost_ranking()


@shared_task(name="social.repair_matches")
def repair_matches() -> None:
    """Insert the friendship row of every pair of two likes that lacks it."""
    sweep("repair_matches", friends.matches_to_repair, friends.repair_match)


@shared_task(name="social.sweep_deleted")
def sweep_deleted() -> None:
    """Remove again what deleted accounts left, since a swipe may have been under way at the deletion."""
    sweep("sweep_deleted", _deleted_before, _finish_deletion, OSError, lease_seconds=DELETION_LEASE_SECONDS)


def _deleted_before() -> Iterable[tuple[int, datetime]]:
    return list_tombstones(now() - SWEEP_AFTER)


def _finish_deletion(uid: int, deleted_at: datetime) -> None:
    remove_owned(uid)
    deletions.remove_traces(uid)
    # The tombstone is the only trace of a deletion that is not listed yet.
    deletion_list.add(uid, deleted_at)
    drop_tombstone(uid)


@shared_task(name="social.purge_deleted_numbers")
def purge_deleted_numbers() -> None:
    """Remove what the numbers of accounts keep that were deleted long ago, and old files of the list of deletions."""
    deletion_list.purge()
    with only_one("purge_deleted_numbers", PURGE_LEASE_SECONDS) as turn:
        while turn and (ended_matches.purge() or deleted_numbers.purge()):
            continue
