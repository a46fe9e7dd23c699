"""Celery tasks of the replying robots, and the signal receivers that queue them."""

from typing import Any

from celery import shared_task

from swiper.extensions import this_app
from swiper.robots import replies
from swiper.signals import deck_shown, like_given
from swiper.tasks.queue import enqueue


@shared_task(name="robots.reply_to_deck", ignore_result=True)
def reply_to_deck(uid: int, shown: list[int]) -> int:
    """Let some of the robots that a user was shown like this user. Return how many did."""
    return replies.reply_to_deck(uid, shown)


@shared_task(name="robots.reply_to_like", ignore_result=True)
def reply_to_like(uid: int, target_id: int) -> bool:
    """Let `target_id`, if it is a robot that `uid` has liked, like back. Return True if it did."""
    return replies.reply_to_like(target_id, uid)


def queue_for_deck(_sender: Any, *, uid: int, shown: list[int]) -> None:
    """Queue the replies to a group of people who were shown."""
    if this_app().config["ROBOTS_ANSWER_PERCENT"]:
        enqueue(reply_to_deck, uid, shown)


def queue_for_like(_sender: Any, *, uid: int, target_id: int) -> None:
    """Queue the delayed reply to a like. Most robots do not reply."""
    # In production the percentage is 0, so a like costs nothing more.
    if this_app().config["ROBOTS_ANSWER_PERCENT"]:
        delay = replies.reply_delay(target_id, uid)
        if delay is not None:
            enqueue(reply_to_like, uid, target_id, delay_seconds=delay)


deck_shown.connect(queue_for_deck)
like_given.connect(queue_for_like)
