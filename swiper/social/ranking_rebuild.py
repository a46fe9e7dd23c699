"""The rebuild of the ranking: corrects every score that differs from the swipes in the database.

Swipes go on during a rebuild, and no point is lost or counted twice. A person whose score differs is watched, counted
again in the database, and corrected after `SETTLE_SECONDS`, unless a point for them arrives meanwhile. So the count
contains each swipe whose point arrived before the watch or will never arrive, and the point of any other swipe is still
to come.
"""

import itertools
import logging
import secrets
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar, cast

from swiper.cache.values import invalidate
from swiper.extensions import db, redis
from swiper.social.models import POINTS
from swiper.social.queries import ranking as queries
from swiper.social.queries.people import accounts_among
from swiper.social.ranking import KEY, PAGE_KEY, WATCHED_KEY
from swiper.tasks.queue import only_one

log = logging.getLogger(__name__)

T = TypeVar("T")

# Exists once the ranking was filled. A Redis that has lost its data has lost this key as well.
BUILT_KEY = f"{KEY}:built"
# A new ranking expires after this time if the worker that builds it dies.
FRESH_SECONDS = 900
# Counting all swipes of a large service may take longer than any other task. Two rebuilds at once would waste time.
LEASE_SECONDS = 600.0
# Longer than a point may take after the commit of its swipe: `GATHER_SECONDS` and `REDIS_TIMEOUT_SECONDS`.
SETTLE_SECONDS = 5.0
# Longer than it takes to count a batch and to wait for it.
WATCH_SECONDS = 120
BATCH = 5_000
CHUNK = 500
# The next rebuild corrects what this one cannot correct within this time.
CORRECTING_SECONDS = 300.0

# KEYS: ranking, watched. ARGV: token, then id and score in turn. Returns the number of scores that were set: those of
# people who were still watched.
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


def rebuild_alone() -> int | None:
    """Do what `rebuild_ranking` does, in one process at a time. Return None if another process rebuilds it."""
    with only_one("rebuild_ranking", LEASE_SECONDS) as turn:
        return rebuild_ranking() if turn else None


def restore_lost_ranking() -> bool:
    """Rebuild the ranking if Redis has lost it. Return True if this process has done so."""
    if redis.client.exists(redis.key(BUILT_KEY)):
        return False
    with only_one("rebuild_ranking", LEASE_SECONDS) as turn:
        # Another process may have rebuilt it before this one got its turn.
        if not turn or redis.client.exists(redis.key(BUILT_KEY)):
            return False
        log.warning("Redis has no ranking; it is rebuilt from the database")
        rebuild_ranking()
        return True


def rebuild_ranking() -> int:
    """Correct the ranking, and return the number of people who have a score in the database.

    If there is no ranking, or Redis has lost its data, the ranking is first filled with all scores. It is then nearly
    right, and is corrected like any other.
    """
    if redis.client.exists(redis.key(KEY), redis.key(BUILT_KEY)) < 2:
        _fill()
    fresh = redis.key(f"{KEY}:{secrets.token_hex(8)}")
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


def _fill() -> None:
    """Replace the ranking by the computed scores. A point that arrives meanwhile is missing until it is corrected."""
    fresh = redis.key(f"{KEY}:{secrets.token_hex(8)}")
    if _compute_all(fresh):
        redis.client.persist(fresh)
        redis.client.rename(fresh, redis.key(KEY))
    redis.client.set(redis.key(BUILT_KEY), 1)
    # Somebody may have looked at the empty ranking, whose page is cached.
    invalidate(PAGE_KEY)


def _compute_all(fresh: str) -> int:
    """Store everyone's score from the database in the sorted set `fresh`, and return the number of people in it."""
    # An earlier read may hold a snapshot that lacks later swipes.
    db.session.rollback()
    for rows in queries.all_scores():
        redis.client.zadd(fresh, {str(uid): score for uid, score in rows})
        redis.client.expire(fresh, FRESH_SECONDS)
    for chunk in _in_parts(redis.client.zscan_iter(fresh, count=CHUNK), CHUNK):
        members = {int(member) for member, _ in chunk}
        if gone := members - accounts_among(members):
            redis.client.zrem(fresh, *gone)
    return redis.client.zcard(fresh)


def _differing(fresh: str) -> Iterator[int]:
    """Yield the ids of people whose score differs from that in `fresh`. The same id may come twice."""
    ranking = redis.key(KEY)
    for member, score, computed in _side_by_side(ranking, fresh):
        if score != computed:
            yield member
    for member, _, found in _side_by_side(fresh, ranking):
        if found is None:
            yield member


def _side_by_side(one: str, other: str) -> Iterator[tuple[int, float, float | None]]:
    """Yield everyone in the sorted set `one`: id, score, and the score in `other`."""
    for chunk in _in_parts(redis.client.zscan_iter(one, count=CHUNK), CHUNK):
        scores = redis.client.zmscore(other, [member for member, _ in chunk])
        for (member, score), found in zip(chunk, scores, strict=True):
            yield int(member), score, found


def _correct(uids: list[int]) -> int:
    """Set the scores of `uids` to those of the database, except for people who get a point meanwhile.

    The number of scores that were set is returned. Only this order is exact: watch, count, wait, correct.
    """
    token = secrets.token_hex(8)
    ranking, watched = redis.key(KEY), redis.key(WATCHED_KEY)
    redis.client.hset(watched, mapping={str(uid): token for uid in uids})
    redis.client.expire(watched, WATCH_SECONDS)
    counted = _count(uids)
    time.sleep(SETTLE_SECONDS)
    corrected = 0
    for chunk in _in_parts(counted.items(), CHUNK):
        scores = itertools.chain.from_iterable(chunk)
        corrected += cast(int, redis.client.eval(CORRECT, 2, ranking, watched, token, *scores))
    return corrected


def _count(uids: list[int]) -> dict[int, int]:
    """Return the scores of `uids` by the swipes that the primary has at this moment."""
    # The snapshot must not be older than the watch. And no transaction may stay open during the wait.
    db.session.rollback()
    scores = dict.fromkeys(uids, 0)
    for chunk in _in_parts(scores, CHUNK):
        for keys in _in_parts(queries.swipe_keys(accounts_among(chunk)), CHUNK):
            for uid, kind in queries.kinds_of(keys):
                scores[uid] += POINTS[kind]
    db.session.rollback()
    return scores


def _in_parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of up to `size` items."""
    rest = iter(items)
    while part := list(itertools.islice(rest, size)):
        yield part
