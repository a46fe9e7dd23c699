"""Replies of robots, so that a newcomer finds a match within a few likes.

`ROBOTS_ANSWER_PERCENT` is the percentage of robots that like a given user. Half of these like the user as soon as the
deck has shown them, and so come first in the next deck. The other half like back some seconds after they were liked.
All other robots never reply. A percentage of 0 switches replies off.
"""

import hashlib
import logging

from swiper.errors import ApiError
from swiper.extensions import this_app
from swiper.robots import queries
from swiper.social.models import SwipeKind
from swiper.social.swipes import swipe
from swiper.vip.levels import vip_status_of

log = logging.getLogger(__name__)

# About as long as a person takes who looks at the phone now and then.
MIN_REPLY_SECONDS = 3
MAX_REPLY_SECONDS = 12


def reply_to_deck(uid: int, shown: list[int]) -> int:
    """Let some robots among the people who were shown to `uid` like this user, at least one. Return how many did."""
    robots = queries.robots_among([*shown, uid])
    if uid in robots or not robots:
        return 0
    eager = [robot for robot in robots if _preference(robot, uid) < answer_percent() / 2]
    return sum(_like(robot, uid) for robot in eager or [min(robots, key=lambda robot: _preference(robot, uid))])


def reply_delay(robot: int, uid: int) -> float | None:
    """Return after how many seconds `robot` replies to a like of `uid`, or None if it does not reply.

    `robot` may be any person; whether it is a robot is not read here.
    """
    percent = answer_percent()
    if not percent / 2 <= _preference(robot, uid) < percent:
        return None
    return MIN_REPLY_SECONDS + (MAX_REPLY_SECONDS - MIN_REPLY_SECONDS) * (_digest(robot, uid)[4] / 255)


def reply_to_like(robot: int, uid: int) -> bool:
    """Let `robot` like `uid` back. Return False if it is no robot, or if the like was taken back meanwhile."""
    if not queries.robots_among([robot]):
        return False
    kind = queries.kind_of_swipe(uid, robot)
    return kind is not None and kind.is_like and _like(robot, uid)


def answer_percent() -> float:
    """Return the percentage of robots that like a given user."""
    percent: float = this_app().config["ROBOTS_ANSWER_PERCENT"]
    return percent


def _preference(robot: int, uid: int) -> int:
    """Return a number from 0 to 99, always the same for one robot and one user. The lowest like the user."""
    return int.from_bytes(_digest(robot, uid)[:4]) % 100


def _digest(robot: int, uid: int) -> bytes:
    return hashlib.sha256(f"{robot}:{uid}".encode()).digest()


def _like(robot: int, uid: int) -> bool:
    try:
        swipe(robot, uid, SwipeKind.LIKE, vip_status_of(robot))
    except ApiError as error:
        # For example, the robot's quota is used up.
        log.info("robot %d did not reply: %s", robot, error.message)
        return False
    return True
