"""SQL of the ranking: everybody's points, and the points of a few people."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, case, func, select, tuple_

from swiper.extensions import db
from swiper.social.models import POINTS, Pair, Swipe, SwipeKind

BATCH = 10_000


def all_scores() -> Iterator[list[tuple[int, int]]]:
    """Yield `(uid, score)` of everyone whose swipes do not add up to 0, in batches."""
    points = case(*[(Swipe.kind == kind, value) for kind, value in POINTS.items()], else_=0)
    score: ColumnElement[Any] = func.sum(points)
    query = select(Swipe.sid, score).group_by(Swipe.sid).having(score != 0)
    query = query.execution_options(yield_per=BATCH, everywhere="Swipes are distributed by who swiped.")
    for rows in db.session.execute(query).partitions():
        yield [(target_id, int(score)) for target_id, score in rows]


def swipe_keys(target_ids: Collection[int]) -> Iterator[tuple[int, int]]:
    """Yield `(uid, target_id)` of each swipe that may exist on one of `target_ids`.

    `swipes` has no index by the swiped person. `pairs` has a row for each swipe.
    """
    above = select(Pair.uid2, Pair.uid1).where(Pair.uid1.in_(target_ids))
    below = select(Pair.uid1, Pair.uid2).where(Pair.uid2.in_(target_ids))
    below = below.execution_options(everywhere="A pair is distributed by the lower of its two ids.")
    for query in (above, below):
        yield from [(uid, target_id) for uid, target_id in db.session.execute(query)]


def kinds_of(keys: Iterable[tuple[int, int]]) -> list[tuple[int, SwipeKind]]:
    """Return the target and the kind of the swipes that have one of the keys `(uid, target_id)`."""
    query = select(Swipe.sid, Swipe.kind).where(tuple_(Swipe.uid, Swipe.sid).in_(keys))
    return [(target_id, kind) for target_id, kind in db.session.execute(query)]
