"""Celery tasks of matches, the ranking and the answering robots."""

from datetime import timedelta

from celery import shared_task

from swiper.auth.accounts import drop_tombstone, old_tombstones, remove_owned
from swiper.dialect import now
from swiper.social import answers, friends, ranking

# Long enough for any request that was under way when the account was deleted.
SWEEP_AFTER = timedelta(minutes=2)


@shared_task(name="social.rebuild_ranking")
def rebuild_ranking() -> int:
    """Compute the ranking from the database."""
    return ranking.rebuild_ranking()


@shared_task(name="social.repair_matches")
def repair_matches() -> int:
    """Give every pair of two likes its friendship row."""
    return friends.repair_matches()


@shared_task(name="social.sweep_deleted")
def sweep_deleted() -> None:
    """Remove once more what swipes under way may have left of deleted accounts."""
    for uid in old_tombstones(now() - SWEEP_AFTER):
        remove_owned(uid)
        friends.forget_user(uid)
        drop_tombstone(uid)


@shared_task(name="social.answer_as_robots", ignore_result=True)
def answer_as_robots(uid: int, met: list[int]) -> int:
    """Let some of the robots that a user has met like them."""
    return answers.answer_as_robots(uid, met)
