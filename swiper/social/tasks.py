"""Celery tasks of matches and the ranking."""

from collections.abc import Iterable
from datetime import timedelta

from celery import shared_task

from swiper.clock import now
from swiper.profiles import deleted_numbers
from swiper.profiles.accounts import drop_tombstone, remove_owned
from swiper.profiles.queries.deletion import list_tombstones
from swiper.social import ended_matches, friends, ranking
from swiper.tasks.queue import only_one, sweep

# Long enough for any request that was under way when the account was deleted.
SWEEP_AFTER = timedelta(minutes=2)
# Somebody may have swiped tens of thousands.
DELETION_LEASE_SECONDS = 120.0
# Counting all swipes of a large service may take longer than any other task. Two at once would only be a waste.
REBUILD_SECONDS = 3600
REBUILD_LEASE_SECONDS = 600.0


@shared_task(name="social.rebuild_ranking", time_limit=REBUILD_SECONDS)
def rebuild_ranking() -> int:
    """Bring the ranking into line with the database; how many people have a score there, or 0 where it is under way."""
    with only_one("rebuild_ranking", REBUILD_LEASE_SECONDS) as turn:
        return ranking.rebuild_ranking() if turn else 0


@shared_task(name="social.repair_matches")
def repair_matches() -> None:
    """Give every pair of two likes its friendship row."""
    sweep("repair_matches", friends.halves_of_matches, friends.repair_match)


@shared_task(name="social.sweep_deleted")
def sweep_deleted() -> None:
    """Remove once more what swipes under way may have left of deleted accounts."""
    sweep("sweep_deleted", _deleted_before, _finish_deletion, lease_seconds=DELETION_LEASE_SECONDS)


def _deleted_before() -> Iterable[tuple[int]]:
    return zip(list_tombstones(now() - SWEEP_AFTER))


def _finish_deletion(uid: int) -> None:
    remove_owned(uid)
    friends.forget_user(uid)
    drop_tombstone(uid)


@shared_task(name="social.purge_deleted_numbers")
def purge_deleted_numbers() -> None:
    """Forget what the numbers of accounts have kept that were deleted long ago."""
    with only_one("purge_deleted_numbers", REBUILD_LEASE_SECONDS) as turn:
        while turn and (ended_matches.purge() or deleted_numbers.purge()):
            continue
