"""The ranking: a sorted set in Redis of the people with the highest scores, which follows the swipes.

A person with 0 points has no entry. Suspended people keep their points, but the page does not show them. As long as
not more than `RANKED` people have a score, all of them have an entry. When there are more, the set is full: the points
of people without an entry are not added, and `ranking_rebuild` brings in who has become one of the highest. It also
corrects the set by the scores in the database.
"""

import itertools
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

from gevent.monkey import is_module_patched
from redis.exceptions import RedisError

from swiper.cache.invalidations import invalidate_shared_after_commit
from swiper.db.replicas import on_replica
from swiper.extensions import redis, this_app
from swiper.outages import is_redis_outage
from swiper.profiles.cards import cards_of
from swiper.signals import status_changed
from swiper.social.models import POINTS, SwipeKind
from swiper.tasks.batcher import batcher_of

log = logging.getLogger(__name__)

# The braces keep all keys of the ranking in one slot of a cluster.
KEY = "{ranking}"
# By id: the token of the rebuild that will correct this person's score. Their next point removes the entry.
WATCHED_KEY = f"{KEY}:watched"
# Exists while people without an entry may have a score.
FULL_KEY = f"{KEY}:full"
PAGE_KEY = "page:hot"
TOP = 50
# People who are gone or suspended are skipped, so more people are read than shown, in steps.
READ = 3 * TOP
READ_AT_MOST = 20 * READ
# Sixty times as many as are shown, so whoever may come onto the page has long been among them.
RANKED = READ_AT_MOST
GATHER_SECONDS = 0.02
BATCHER = "ranking"

# KEYS: ranking, watched, full. ARGV: id and points in turn.
ADD = """
local is_full = redis.call('EXISTS', KEYS[3]) == 1
for i = 1, #ARGV, 2 do
  redis.call('HDEL', KEYS[2], ARGV[i])
  if not is_full or redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    if tonumber(redis.call('ZINCRBY', KEYS[1], ARGV[i + 1], ARGV[i])) == 0 then
      redis.call('ZREM', KEYS[1], ARGV[i])
    end
  end
end
return 0
"""


def add_points(target_id: int, kind: SwipeKind, sign: int = 1) -> None:
    """Add the points of a swipe to the swiped person's score; `sign` -1 takes them back.

    A gevent worker collects the points of its requests for `GATHER_SECONDS` and sends them in one round trip. Points
    that are lost because the worker is killed are found by the next rebuild.
    """
    if not is_module_patched("socket"):
        add_all({target_id: sign * POINTS[kind]})
        return
    batcher = batcher_of(this_app(), BATCHER, Counter[int], _send)
    batcher.content[target_id] += sign * POINTS[kind]
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
    """Add points to the scores of several people in Redis, by id."""
    if points:
        redis.client.eval_once(
            ADD,
            [redis.key(KEY), redis.key(WATCHED_KEY), redis.key(FULL_KEY)],
            *itertools.chain.from_iterable(points.items()),
        )


def drop_from_ranking(uid: int) -> None:
    """Remove a person from the ranking."""
    with redis.client.pipeline(transaction=True) as pipe:
        pipe.hdel(redis.key(WATCHED_KEY), str(uid))
        pipe.zrem(redis.key(KEY), uid)
        pipe.execute()


def invalidate_page(_sender: Any, *, uid: int) -> None:
    """Drop the cached page after somebody is suspended, admitted again or deleted."""
    invalidate_shared_after_commit(PAGE_KEY)


status_changed.connect(invalidate_page)


def top_people() -> list[dict[str, Any]]:
    """Return the first fifty people: `rank`, `score` and `user`."""
    # The page is cached for all, so a replica answers only if it has everything that is committed by now.
    return on_replica(
        lambda: [place | {"rank": rank} for rank, place in enumerate(itertools.islice(_places(), TOP), 1)],
        as_of=time.monotonic(),
    )


def _places() -> Iterator[dict[str, Any]]:
    """Yield score and card of everyone who can be shown, the highest score first."""
    for start in range(0, READ_AT_MOST, READ):
        read = redis.client.zrevrange(redis.key(KEY), start, start + READ - 1, withscores=True)
        scores = {int(member): int(score) for member, score in cast(list[tuple[bytes, float]], read)}
        for card in cards_of(list(scores)):
            yield {"score": scores[card["id"]], "user": card}
        if len(scores) < READ:
            return
