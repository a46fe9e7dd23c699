"""The rebuild of the ranking: makes the set in Redis that of the highest scores in the database.

The scores are in `scores`, and a rebuild first counts the swipes that came since the last one. It counts all swipes
only where nothing was counted yet or where no count has run for a while; `flask rebuild-ranking` always does.

Swipes go on during a rebuild, and no point is lost or counted twice. A person whose score differs is watched, counted
again in the database, and corrected after `SETTLE_SECONDS`, unless a point for them arrives meanwhile. So the count
contains each swipe whose point arrived before the watch or will never arrive, and the point of any other swipe is still
to come.
"""

import heapq
import itertools
import logging
import math
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import cast

from swiper.cache.values import invalidate
from swiper.extensions import db, redis
from swiper.social import scores
from swiper.social.queries import ranking as queries
from swiper.social.queries.people import accounts_among
from swiper.social.ranking import FULL_KEY, KEY, PAGE_KEY, RANKED, WATCHED_KEY
from swiper.social.scores import in_parts
from swiper.tasks.queue import only_one

log = logging.getLogger(__name__)

# Exists once the ranking was filled. A Redis that has lost its data has lost this key as well.
BUILT_KEY = f"{KEY}:built"
# A new ranking expires after this time if the worker that builds it dies.
FRESH_SECONDS = 900
NAME = "rebuild_ranking"
LEASE_SECONDS = 120.0
# To count all swipes of a large service takes longer than any other task. Two such counts at once would waste time.
FULL_LEASE_SECONDS = 3600.0
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


def rebuild_alone(*, counts_everybody: bool = False) -> int | None:
    """Do what `rebuild_ranking` does, in one process at a time. Return None if another process rebuilds it.

    With `counts_everybody` the scores in the database are first corrected by all swipes.
    """
    is_long = counts_everybody or scores.needs_full_count()
    with only_one(NAME, FULL_LEASE_SECONDS if is_long else LEASE_SECONDS) as turn:
        if not turn:
            return None
        if counts_everybody:
            scores.count_everybody()
        return rebuild_ranking()


def restore_lost_ranking() -> bool:
    """Rebuild the ranking if Redis has lost it. Return True if this process has done so."""
    if redis.client.exists(redis.key(BUILT_KEY)):
        return False
    with only_one(NAME, FULL_LEASE_SECONDS if scores.needs_full_count() else LEASE_SECONDS) as turn:
        # Another process may have rebuilt it before this one got its turn.
        if not turn or redis.client.exists(redis.key(BUILT_KEY)):
            return False
        log.warning("Redis has no ranking; it is rebuilt from the database")
        rebuild_ranking()
        return True


def rebuild_ranking() -> int:
    """Correct the ranking, and return the number of people in it: those with a score, at most `RANKED`.

    If there is no ranking, or Redis has lost its data, the ranking is first filled. It is then nearly right, and is
    corrected like any other.
    """
    if scores.needs_full_count():
        corrected = scores.count_everybody()
        log.info("all swipes were counted; %d scores were corrected", corrected)
    if redis.client.exists(redis.key(KEY), redis.key(BUILT_KEY)) < 2:
        _fill(_highest_scores())
    right = _highest_scores()
    _trim()
    deadline = time.monotonic() + CORRECTING_SECONDS
    corrected = 0
    for batch in in_parts(_differing(right), BATCH):
        if time.monotonic() > deadline:
            log.warning("the ranking is not yet right everywhere; the next rebuild goes on")
            break
        corrected += _correct(batch)
    _trim()
    if corrected:
        log.info("%d scores of the ranking were corrected", corrected)
    return len(right)


def _highest_scores() -> dict[int, int]:
    """Count the new swipes, and return the scores of the people who belong into the ranking, by id."""
    new = scores.count_new_swipes()
    stored = queries.top_scores(RANKED + 1)
    is_full = len(stored) > RANKED
    # Beside a full ranking, whoever rises has to wait until their new swipes are counted.
    uids = stored if is_full else {**stored, **new}
    right = {uid: score for uid in uids if (score := stored.get(uid, 0) + new[uid])}
    existing: set[int] = set()
    for chunk in in_parts(right, CHUNK):
        existing |= accounts_among(chunk)
    db.session.rollback()
    right = {uid: score for uid, score in right.items() if uid in existing}
    if is_full or len(right) > RANKED:
        redis.client.set(redis.key(FULL_KEY), 1)
        return dict(heapq.nlargest(RANKED, right.items(), key=lambda item: item[1]))
    redis.client.delete(redis.key(FULL_KEY))
    return right


def _fill(right: Mapping[int, int]) -> None:
    """Replace the ranking. A point that arrives meanwhile is missing until it is corrected."""
    fresh = redis.key(f"{KEY}:{secrets.token_hex(8)}")
    for chunk in in_parts(right.items(), CHUNK):
        redis.client.zadd(fresh, {str(uid): score for uid, score in chunk})
        redis.client.expire(fresh, FRESH_SECONDS)
    if right:
        redis.client.persist(fresh)
        redis.client.rename(fresh, redis.key(KEY))
    redis.client.set(redis.key(BUILT_KEY), 1)
    # Somebody may have looked at the empty ranking, whose page is cached.
    invalidate(PAGE_KEY)


def _trim() -> None:
    """Remove the lowest people of a ranking that is full, a few at a time: Redis does nothing else meanwhile."""
    while redis.client.exists(redis.key(FULL_KEY)) and (surplus := redis.client.zcard(redis.key(KEY)) - RANKED) > 0:
        redis.client.zremrangebyrank(redis.key(KEY), 0, min(surplus, BATCH) - 1)


def _differing(right: Mapping[int, int]) -> Iterator[int]:
    """Yield the ids of people whose entry in the ranking is not what is `right`.

    Of people with the lowest score of a full ranking it is chance who has an entry.
    """
    found: dict[int, float] = {}
    for member, score in redis.client.zscan_iter(redis.key(KEY), count=CHUNK):
        found[int(member)] = score
    lowest = min(right.values(), default=0)
    placed = sum(score == right.get(uid, lowest) for uid, score in found.items())
    floor = lowest if placed >= RANKED else -math.inf
    for uid in {**right, **found}:
        score, wanted = found.get(uid, floor), right.get(uid, floor)
        if score != wanted and max(score, wanted) > floor:
            yield uid


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
    for chunk in in_parts(counted.items(), CHUNK):
        scores = itertools.chain.from_iterable(chunk)
        corrected += cast(int, redis.client.eval(CORRECT, 2, ranking, watched, token, *scores))
    return corrected


def _count(uids: list[int]) -> dict[int, int]:
    """Return the scores of `uids` by the swipes that the primary has at this moment."""
    new = scores.read_uncounted().points()
    right = dict.fromkeys(uids, 0)
    for chunk in in_parts(uids, CHUNK):
        stored = queries.scores_of(chunk)
        for uid in accounts_among(chunk):
            right[uid] = stored.get(uid, 0) + new[uid]
    # No transaction may stay open during the wait.
    db.session.rollback()
    return right
