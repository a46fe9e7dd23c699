"""The ranking: a sorted set in Redis that follows the swipes, and is brought back into line with the database.

Somebody with 0 points has no place in it. The suspended keep their points and are left out of the page.

A rebuild corrects people one by one while swipes go on, and neither loses nor doubles a point: whoever differs is
watched, counted anew in the database, and corrected after `SETTLE_SECONDS`, unless a point came meanwhile. So each
swipe is either in the count, and its point came before the watch or never, or its point is still to come.
"""

import itertools
import logging
import secrets
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast

from gevent.monkey import is_module_patched
from redis.exceptions import RedisError
from sqlalchemy import case, func, select, tuple_

from swiper.cache.invalidations import invalidate_shared_after_commit
from swiper.db.replicas import replica_reads
from swiper.extensions import db, redis, this_app
from swiper.outages import is_redis_outage
from swiper.profiles.cards import cards_of
from swiper.profiles.models import User
from swiper.signals import status_changed
from swiper.social.models import Pair, Swipe, SwipeKind
from swiper.tasks.batcher import batcher_of

log = logging.getLogger(__name__)

T = TypeVar("T")

# The braces keep everything about the ranking in one slot of a cluster.
KEY = "{ranking}"
# Stands once the ranking was filled; a Redis that has lost its data has lost this as well.
BUILT_KEY = f"{KEY}:built"
# By id: which rebuild has counted somebody and will correct them; their next point removes them.
WATCHED_KEY = f"{KEY}:watched"
PAGE_KEY = "page:hot"
TOP = 50
# People who are gone or suspended are skipped, so more than shown are read, in steps.
READ = 3 * TOP
READ_AT_MOST = 20 * READ
# A half-built ranking whose worker died is gone after this time.
FRESH_SECONDS = 900
# Longer than a point can come after its swipe's commit: gathered, then Redis is given up after `REDIS_TIMEOUT_SECONDS`.
SETTLE_SECONDS = 5.0
GATHER_SECONDS = 0.02
BATCHER = "ranking"
# Longer than counting a batch and waiting for it.
WATCH_SECONDS = 120
BATCH = 5_000
CHUNK = 500
# What cannot be corrected in this time is left to the next rebuild.
CORRECTING_SECONDS = 300.0
POINTS = {SwipeKind.LIKE: 5, SwipeKind.SUPERLIKE: 7, SwipeKind.DISLIKE: -5}

# KEYS: ranking, watched. ARGV: id and points in turn.
ADD = """
for i = 1, #ARGV, 2 do
  redis.call('HDEL', KEYS[2], ARGV[i])
  if tonumber(redis.call('ZINCRBY', KEYS[1], ARGV[i + 1], ARGV[i])) == 0 then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return 0
"""
# KEYS: ranking, watched. ARGV: token, then id and score in turn. Returns how many were still watched, and so set.
CORRECT = """
local corrected = 0
for i = 2, #ARGV, 2 do
  if redis.call('HGET', KEYS[2], ARGV[i]) == ARGV[1] then
    redis.call('HDEL', KEYS[2], ARGV[i])
    if ARGV[i + 1] == '0' then
      redis.call('ZREM', KEYS[1], ARGV[i])
    else
      redis.call('ZADD', KEYS[1], ARGV[i + 1], ARGV[i])
    end
    corrected = corrected + 1
  end
end
return corrected
"""


def add_points(sid: int, kind: SwipeKind, sign: int = 1) -> None:
    """Count a swipe for the swiped person; `sign` -1 takes it back.

    A gevent worker gathers the points of its requests for `GATHER_SECONDS` and sends them together: one round trip for
    all of them instead of one each. Those that a kill takes with it are found missing by the next rebuild.
    """
    if not is_module_patched("socket"):
        add_all({sid: sign * POINTS[kind]})
        return
    batcher = batcher_of(this_app(), BATCHER, Counter[int], _send)
    batcher.content[sid] += sign * POINTS[kind]
    batcher.plan(GATHER_SECONDS)


def _send(points: Counter[int]) -> None:
    try:
        add_all(points)
    except RedisError as error:
        is_fault = not is_redis_outage(error)
        log.log(
            logging.ERROR if is_fault else logging.WARNING,
            "points of %d people are missing until the next rebuild: %s",
            len(points),
            type(error).__name__,
            exc_info=is_fault,
        )


def add_all(points: Mapping[int, int]) -> None:
    """Add to the scores of several people, by id."""
    if points:
        redis.client.eval_once(ADD, [KEY, WATCHED_KEY], *itertools.chain.from_iterable(points.items()))


def drop_from_ranking(uid: int) -> None:
    """Take somebody out of the ranking."""
    with redis.client.pipeline() as pipe:
        pipe.hdel(WATCHED_KEY, str(uid))
        pipe.zrem(KEY, uid)
        pipe.execute()


def invalidate_page(_sender: Any, *, uid: int) -> None:
    """Somebody who is suspended, admitted again or deleted leaves or enters the page."""
    invalidate_shared_after_commit(PAGE_KEY)


status_changed.connect(invalidate_page)


def top_people() -> list[dict[str, Any]]:
    """The first fifty: `rank`, `score` and `user`."""
    with replica_reads():
        return [place | {"rank": rank} for rank, place in enumerate(itertools.islice(_places(), TOP), 1)]


def _places() -> Iterator[dict[str, Any]]:
    """Everyone who can be shown, best first."""
    for start in range(0, READ_AT_MOST, READ):
        read = redis.client.zrevrange(KEY, start, start + READ - 1, withscores=True)
        scores = {int(member): int(score) for member, score in cast(list[tuple[bytes, float]], read)}
        for card in cards_of(list(scores)):
            yield {"score": scores[card["id"]], "user": card}
        if len(scores) < READ:
            return


def rebuild_ranking() -> int:
    """Correct every score that is not what the swipes in the database make; how many people have one there.

    Where there is none, or Redis has lost its data since, everyone is filled in at once first. The ranking is then
    nearly right, and made exact like any other.
    """
    if redis.client.exists(KEY, BUILT_KEY) < 2:
        _fill_at_once()
    fresh = f"{KEY}:{secrets.token_hex(8)}"
    count = _compute_all(fresh)
    deadline = time.monotonic() + CORRECTING_SECONDS
    corrected = 0
    for batch in _in_parts(_differing(fresh), BATCH):
        if time.monotonic() > deadline:
            log.warning("the ranking is not yet right everywhere; the next rebuild goes on")
            break
        corrected += _correct(batch)
    redis.client.unlink(fresh)
    if corrected:
        log.info("%d scores of the ranking were corrected", corrected)
    return count


def _fill_at_once() -> None:
    """Put the computed scores in place of all others; a point that comes meanwhile is missing until it is corrected."""
    fresh = f"{KEY}:{secrets.token_hex(8)}"
    if _compute_all(fresh):
        redis.client.persist(fresh)
        redis.client.rename(fresh, KEY)
    redis.client.set(BUILT_KEY, 1)


def _compute_all(fresh: str) -> int:
    """Put everyone's score as the database has it into the sorted set `fresh`; how many there are."""
    query = select(Swipe.sid, func.sum(_points())).group_by(Swipe.sid).having(func.sum(_points()) != 0)
    query = query.execution_options(yield_per=10_000, everywhere="Swipes are distributed by who swiped.")
    # What was read before may hold a snapshot in which later swipes are missing.
    db.session.rollback()
    for rows in db.session.execute(query).partitions():
        redis.client.zadd(fresh, {str(sid): int(score) for sid, score in rows})
        redis.client.expire(fresh, FRESH_SECONDS)
    for chunk in _in_parts(redis.client.zscan_iter(fresh, count=CHUNK), CHUNK):
        members = {int(member) for member, _ in chunk}
        if gone := members - _there_among(members):
            redis.client.zrem(fresh, *gone)
    return redis.client.zcard(fresh)


def _there_among(uids: Collection[int]) -> set[int]:
    """Those of `uids` who have an account."""
    return set(db.session.scalars(select(User.id).where(User.id.in_(uids))))


def _points() -> Any:
    return case(*[(Swipe.kind == kind, value) for kind, value in POINTS.items()], else_=0)


def _differing(fresh: str) -> Iterator[int]:
    """Ids of those whose score is another than in `fresh`; the same id may come twice."""
    for member, score, computed in _side_by_side(KEY, fresh):
        if score != computed:
            yield member
    for member, _, found in _side_by_side(fresh, KEY):
        if found is None:
            yield member


def _side_by_side(one: str, other: str) -> Iterator[tuple[int, float, float | None]]:
    """Everyone in the sorted set `one`: id, score, and the score in `other`."""
    for chunk in _in_parts(redis.client.zscan_iter(one, count=CHUNK), CHUNK):
        scores = redis.client.zmscore(other, [member for member, _ in chunk])
        for (member, score), found in zip(chunk, scores, strict=True):
            yield int(member), score, found


def _correct(uids: list[int]) -> int:
    """Set the scores of `uids` to what the database says, but for those who get a point meanwhile; how many were set.

    The order is what makes it exact: watch, count, wait, correct.
    """
    token = secrets.token_hex(8)
    redis.client.hset(WATCHED_KEY, mapping={str(uid): token for uid in uids})
    redis.client.expire(WATCHED_KEY, WATCH_SECONDS)
    counted = _count(uids)
    time.sleep(SETTLE_SECONDS)
    corrected = 0
    for chunk in _in_parts(counted.items(), CHUNK):
        scores = itertools.chain.from_iterable(chunk)
        corrected += cast(int, redis.client.eval(CORRECT, 2, KEY, WATCHED_KEY, token, *scores))
    return corrected


def _count(uids: list[int]) -> dict[int, int]:
    """The scores of `uids` as the database has them at this moment, on the primary."""
    # As above: the snapshot must not be older than the watch. And no transaction stays open during the wait.
    db.session.rollback()
    scores = dict.fromkeys(uids, 0)
    for chunk in _in_parts(scores, CHUNK):
        for pairs in _in_parts(_swipes_possible(_there_among(chunk)), CHUNK):
            swipes = select(Swipe.sid, Swipe.kind).where(tuple_(Swipe.uid, Swipe.sid).in_(pairs))
            for sid, kind in db.session.execute(swipes):
                scores[sid] += POINTS[kind]
    db.session.rollback()
    return scores


def _swipes_possible(uids: Collection[int]) -> Iterator[tuple[int, int]]:
    """`(swiper, swiped)` for everyone who may ever have swiped one of `uids`.

    `swipes` has no index by the swiped person; `pairs` has a row for each.
    """
    above = select(Pair.uid2, Pair.uid1).where(Pair.uid1.in_(uids))
    below = select(Pair.uid1, Pair.uid2).where(Pair.uid2.in_(uids))
    below = below.execution_options(everywhere="A pair is distributed by the lower of its two ids.")
    for query in (above, below):
        yield from [(other, own) for other, own in db.session.execute(query)]


def _in_parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of up to `size` items."""
    rest = iter(items)
    while part := list(itertools.islice(rest, size)):
        yield part
