"""Celery tasks of the replying robots, and what queues them."""

from typing import Any

from celery import shared_task

from swiper.extensions import this_app
from swiper.robots import replies
from swiper.signals import deck_shown, like_given
from swiper.tasks.queue import enqueue


@shared_task(name="robots.reply_to_deck", ignore_result=True)
def reply_to_deck(uid: int, met: list[int]) -> int:
    """Let some of the robots that a user has met like them."""
    return replies.reply_to_deck(uid, met)


@shared_task(name="robots.reply_to_like", ignore_result=True)
def reply_to_like(uid: int, sid: int) -> bool:
    """Let `sid`, if it is a robot that `uid` has liked, like them back."""
    return replies.reply_to_like(sid, uid)


def queue_for_deck(_sender: Any, *, uid: int, met: list[int]) -> None:
    """Queue the replies to a group of people who were shown."""
    if this_app().config["ROBOTS_ANSWER_PERCENT"]:
        enqueue(reply_to_deck, uid, met)


def queue_for_like(_sender: Any, *, uid: int, sid: int) -> None:
    """Queue the reply to a like, for a while later; most robots have none to give."""
    delay = replies.reply_delay(sid, uid)
    if delay is not None:
        enqueue(reply_to_like, uid, sid, delay_seconds=delay)


deck_shown.connect(queue_for_deck)
like_given.connect(queue_for_like)
