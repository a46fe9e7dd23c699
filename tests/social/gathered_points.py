"""Swipes as a gevent worker makes them; run by `python -m gevent.monkey`, patched like a worker.

Arguments: what to do (a function below), the addresses of database and Redis, the swipers' ids, and the swiped ones'.
"""

import sys
import time
from collections.abc import Mapping

import gevent
from flask import Flask

from deploy.processes import wait_until
from swiper.extensions import db, redis
from swiper.social import ranking, swipes
from swiper.social.models import POINTS, SwipeKind
from swiper.vip.levels import vip_status_of
from tests.patched import application

GATHER_SECONDS = 0.5
# A gathering that does not end before it is told to.
FOREVER_SECONDS = 3600


def ids(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def swipe(app: Flask, uid: int, sid: int, kind: SwipeKind) -> None:
    with app.app_context():
        swipes.swipe(uid, sid, kind, vip_status_of(uid))
        db.session.remove()


def many(app: Flask, uids: list[int], sids: list[int]) -> None:
    """Everybody swipes everybody else at once; prints swipes, commands, and how many there may be by the clock."""
    ranking.GATHER_SECONDS = GATHER_SECONDS
    real, sent = ranking.add_all, []

    def count(points: Mapping[int, int]) -> None:
        real(points)
        sent.append(points)

    ranking.add_all = count
    jobs = [(uid, sid, list(SwipeKind)[number % 3]) for number, uid in enumerate(uids) for sid in sids]
    started = time.monotonic()
    gevent.joinall([gevent.spawn(swipe, app, *job) for job in jobs], raise_error=True)
    seconds = time.monotonic() - started
    expected = sum(POINTS[kind] for _, _, kind in jobs)
    wait_until(lambda: sum(sum(points.values()) for points in sent) == expected, 30, f"points are missing: {sent}")
    print(len(jobs), len(sent), 1 + int(seconds / GATHER_SECONDS))


def like_and_rewind(app: Flask, uids: list[int], sids: list[int]) -> None:
    """A like and its rewind in one gathering; prints what was gathered, and who is watched before and afterwards."""
    ranking.GATHER_SECONDS = FOREVER_SECONDS
    (uid,), (sid,) = uids, sids
    with app.app_context():
        redis.client.hset(ranking.WATCHED_KEY, str(sid), "token")
        swipe(app, uid, sid, SwipeKind.LIKE)
        swipes.rewind(uid, vip_status_of(uid))
        batcher = app.extensions[f"batcher:{ranking.BATCHER}"]
        print(dict(batcher.content), redis.client.hlen(ranking.WATCHED_KEY))
        batcher.flush()
        print(dict(batcher.content), redis.client.hlen(ranking.WATCHED_KEY))


def without_redis(app: Flask, uids: list[int], sids: list[int]) -> None:
    """Likes one by one, each gathered alone; says so when all are stored and none is still to be sent."""
    for uid in uids:
        swipe(app, uid, sids[0], SwipeKind.LIKE)
        wait_until(lambda: not app.extensions[f"batcher:{ranking.BATCHER}"].content, 30, "points are not sent")
    print("stored")


def main() -> None:
    job, database_url, redis_url, uids, sids = sys.argv[1:]
    # On a busy machine all the swipes at once may wait for each other.
    with application(database_url, redis_url, database_pool_timeout_seconds=30, database_statement_seconds=30) as app:
        {"many": many, "like_and_rewind": like_and_rewind, "without_redis": without_redis}[job](
            app, ids(uids), ids(sids)
        )
        with app.app_context():
            db.engine.dispose()


if __name__ == "__main__":
    main()
