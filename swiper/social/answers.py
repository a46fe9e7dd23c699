"""Development: some robots like whoever they meet, so that a newcomer finds a match within a few likes."""

import hashlib
import logging

from flask import current_app
from sqlalchemy import select

from swiper.auth.models import User
from swiper.errors import ApiError
from swiper.extensions import db
from swiper.social.models import SwipeKind
from swiper.social.swipes import swipe
from swiper.vip.levels import standing_of

log = logging.getLogger(__name__)


def answer_as_robots(uid: int, met: list[int]) -> int:
    """Let a share of the robots among `met`, at least one, like `uid` through the ordinary service; how many did."""
    robots = list(db.session.scalars(select(User.id).where(User.id.in_(met), User.is_robot.is_(True))))
    if db.session.scalar(select(User.is_robot).where(User.id == uid)) or not robots:
        return 0
    share = current_app.config["ROBOTS_ANSWER_PERCENT"]
    chosen = [robot for robot in robots if _taste(robot, uid) < share] or [min(robots)]
    return sum(_like(robot, uid) for robot in chosen)


def _taste(robot: int, uid: int) -> int:
    """0 to 99, always the same for one robot and one user, so that asking again changes nobody's mind."""
    return int.from_bytes(hashlib.sha256(f"{robot}:{uid}".encode()).digest()[:4]) % 100


def _like(robot: int, uid: int) -> bool:
    try:
        swipe(robot, uid, SwipeKind.LIKE, standing_of(robot))
    except ApiError as error:
        # A robot's own quota may be used up, like anybody's.
        log.info("robot %d did not answer: %s", robot, error.message)
        return False
    return True
