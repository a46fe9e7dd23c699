"""The ranking: a sorted set in Redis that follows the swipes and is rebuilt from the database."""

import logging
import secrets
from typing import Any, cast

from sqlalchemy import case, func, select

from swiper.auth.models import Status, User
from swiper.auth.profiles import cards_of
from swiper.dialect import replica_reads
from swiper.extensions import db, redis
from swiper.memo import forget
from swiper.social.models import Swipe, SwipeKind

log = logging.getLogger(__name__)

# The braces keep both sets in one slot of a cluster, which RENAME asks for.
KEY = "{ranking}"
PAGE_KEY = "page:hot"
TOP = 50
# People who are gone or suspended are skipped, so a few more than shown are read.
READ = 3 * TOP
# A half-built ranking whose worker died is gone after this time.
FRESH_SECONDS = 900
POINTS = {SwipeKind.LIKE: 5, SwipeKind.SUPERLIKE: 7, SwipeKind.DISLIKE: -5}


def add_points(sid: int, kind: SwipeKind, sign: int = 1) -> None:
    """Count a swipe for the swiped person; `sign` -1 takes it back."""
    redis.client.zincrby(KEY, sign * POINTS[kind], sid)


def drop_from_ranking(uid: int) -> None:
    """Take somebody out of the ranking and of the page that shows it."""
    forget(PAGE_KEY)
    redis.client.zrem(KEY, uid)


def top_people() -> list[dict[str, Any]]:
    """The first fifty: `rank`, `score` and `user`."""
    scored = redis.client.zrevrange(KEY, 0, READ - 1, withscores=True)
    scores = {int(member): int(score) for member, score in cast(list[tuple[bytes, float]], scored)}
    with replica_reads():
        cards = cards_of(list(scores))[:TOP]
    return [{"rank": rank, "score": scores[card["id"]], "user": card} for rank, card in enumerate(cards, 1)]


def rebuild_ranking() -> int:
    """Compute the ranking from all swipes and put it in place of the old one; how many people it has."""
    points = case(*[(Swipe.kind == kind, value) for kind, value in POINTS.items()], else_=0)
    total = func.sum(points)
    query = (
        select(Swipe.sid, total)
        .join(User, User.id == Swipe.sid)
        .where(User.status == Status.ACTIVE)
        .group_by(Swipe.sid)
        .execution_options(yield_per=10_000)
    )
    fresh, count = f"{KEY}:{secrets.token_hex(8)}", 0
    for rows in db.session.execute(query).partitions():
        redis.client.zadd(fresh, {str(sid): int(score) for sid, score in rows})
        redis.client.expire(fresh, FRESH_SECONDS)
        count += len(rows)
    if count:
        redis.client.persist(fresh)
        redis.client.rename(fresh, KEY)
    else:
        redis.client.delete(KEY)
    return count
