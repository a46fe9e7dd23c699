"""Development: robots reply, so that a newcomer finds a match within a few likes.

Each robot has its own mind about each person. Of those who like somebody at all, half do so when they meet, and stand
at the head of the next deck; the others like back a few seconds after they were liked. The rest never replies.
"""

import hashlib
import logging

from sqlalchemy import select

from swiper.errors import ApiError
from swiper.extensions import db, this_app
from swiper.profiles.models import User
from swiper.social.models import Swipe, SwipeKind
from swiper.social.swipes import swipe
from swiper.vip.levels import vip_status_of

log = logging.getLogger(__name__)

# As long as somebody takes who looks at the phone now and then.
QUICKEST_REPLY_SECONDS = 3
SLOWEST_REPLY_SECONDS = 12


def reply_to_deck(uid: int, met: list[int]) -> int:
    """Let some robots among `met`, at least one, like `uid` through the ordinary service; how many did."""
    robots = list(db.session.scalars(select(User.id).where(User.id.in_(met), User.is_robot.is_(True))))
    if db.session.scalar(select(User.is_robot).where(User.id == uid)) or not robots:
        return 0
    eager = [robot for robot in robots if _taste(robot, uid) < _share() / 2]
    return sum(_like(robot, uid) for robot in eager or [min(robots, key=lambda robot: _taste(robot, uid))])


def reply_delay(robot: int, uid: int) -> float | None:
    """Seconds until `robot`, if it is one, replies to a like of `uid`; None where it has no reply to give."""
    share = _share()
    # In production, where the share is 0, a like does not pay for anybody's taste.
    if not share or not share / 2 <= _taste(robot, uid) < share:
        return None
    span = SLOWEST_REPLY_SECONDS - QUICKEST_REPLY_SECONDS
    return QUICKEST_REPLY_SECONDS + span * (_mind(robot, uid)[4] / 255)


def reply_to_like(robot: int, uid: int) -> bool:
    """Let `robot` like `uid` back, if it is a robot and the like still stands; True when it did."""
    if not db.session.scalar(select(User.is_robot).where(User.id == robot)):
        return False
    given = db.session.scalar(select(Swipe.kind).where(Swipe.uid == uid, Swipe.sid == robot))
    return given is not None and given.is_like and _like(robot, uid)


def _share() -> float:
    """How many in a hundred robots like somebody at all."""
    share: float = this_app().config["ROBOTS_ANSWER_PERCENT"]
    return share


def _taste(robot: int, uid: int) -> int:
    """0 to 99, always the same for one robot and one user, so that asking again changes nobody's mind."""
    return int.from_bytes(_mind(robot, uid)[:4]) % 100


def _mind(robot: int, uid: int) -> bytes:
    return hashlib.sha256(f"{robot}:{uid}".encode()).digest()


def _like(robot: int, uid: int) -> bool:
    try:
        swipe(robot, uid, SwipeKind.LIKE, vip_status_of(robot))
    except ApiError as error:
        # A robot's own quota may be used up, like anybody's.
        log.info("robot %d did not reply: %s", robot, error.message)
        return False
    return True
