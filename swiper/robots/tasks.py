"""Celery tasks of the robots that reply and that move into cities, and the signal receivers that queue them."""

from typing import Any

from celery import shared_task

from swiper.extensions import this_app
from swiper.robots import cities, replies
from swiper.signals import city_chosen, deck_shown, like_given
from swiper.tasks.queue import enqueue, only_one

# Longer than one city takes.
FILL_AGAIN_SECONDS = 1.0


@shared_task(name="robots.reply_to_deck", ignore_result=True)
def reply_to_deck(uid: int, shown: list[int]) -> int:
    """Let some of the robots that a user was shown like this user. Return how many did."""
    return replies.reply_to_deck(uid, shown)


@shared_task(name="robots.reply_to_like", ignore_result=True)
def reply_to_like(uid: int, target_id: int) -> bool:
    """Let `target_id`, if it is a robot that `uid` has liked, like back. Return True if it did."""
    return replies.reply_to_like(target_id, uid)


@shared_task(name="robots.fill_city", ignore_result=True)
def fill_city(uid: int) -> int:
    """Add robots to the city of a user, if it has few. Return how many were added."""
    # Two at a time would count the same robots, and give new ones the same phones.
    with only_one("fill_city") as turn:
        if turn:
            return cities.fill_city_of(uid)
    enqueue(fill_city, uid, delay_seconds=FILL_AGAIN_SECONDS)
    return 0


def queue_for_city(_sender: Any, *, uid: int) -> None:
    """Queue the robots of a city that somebody has chosen."""
    if cities.robots_per_city():
        enqueue(fill_city, uid)


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


city_chosen.connect(queue_for_city)
deck_shown.connect(queue_for_deck)
like_given.connect(queue_for_like)
