"""SQL of the ranking: everybody's counted points, and the swipes that are not counted yet."""

import heapq
import itertools
import operator
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, insert, select, tuple_, update

from swiper.db.snapshots import snapshot
from swiper.db.statements import Statement
from swiper.db.upsert import changed_a_row, insert_if_absent, upsert
from swiper.extensions import db
from swiper.ids import new_id
from swiper.social.models import (
    FIRST_SWIPED,
    POINTS,
    SECOND_SWIPED,
    Pair,
    RankingState,
    Score,
    ScoreChange,
    Swipe,
)

BATCH = 10_000
# Keys or ids in one statement.
CHUNK = 500
# The masks of pairs in which somebody has swiped.
SWIPED_MASKS = [mask for mask in range(32) if mask & (FIRST_SWIPED | SECOND_SWIPED)]
STATE_ID = 1
# For the transaction of a rewind, which has no session.
ADD_CHANGE = Statement(
    """INSERT INTO score_changes (uid, id, swiped_at, points, is_removal)
    VALUES (:uid, :id, :swiped_at, :points, :is_removal)"""
)

# --- The state of the count ---


def insert_state() -> None:
    """Insert the row of the state, in which nothing is counted, unless it exists."""
    insert_if_absent(RankingState, [{"id": STATE_ID, "counted_until": None, "version": 0}], ["id"])


def read_state() -> tuple[datetime | None, int]:
    """Return the time up to which swipes are counted, None if none is, and the version of the scores."""
    db.session.rollback()
    row = db.session.execute(select(RankingState.counted_until, RankingState.version)).first()
    db.session.rollback()
    return (row.counted_until, row.version) if row else (None, 0)


def move_state(version: int, counted_until: datetime | None) -> bool:
    """Store the time up to which swipes are counted. Return False if the scores have not this version any more."""
    return changed_a_row(
        update(RankingState)
        .where(RankingState.id == STATE_ID, RankingState.version == version)
        .values(counted_until=counted_until, version=version + 1)
    )


# --- Swipes that are not counted yet ---


def changed_pairs(after: datetime) -> Sequence[Any]:
    """Return the keys of the pairs that have changed after a time and in which somebody has swiped."""
    query = select(Pair.uid1, Pair.uid2).where(Pair.mask.in_(SWIPED_MASKS), Pair.changed_at > after)
    return db.session.execute(query.execution_options(everywhere="The count looks for swipes of anybody.")).all()


def swipes_after(keys: Collection[tuple[int, int]], after: datetime) -> Sequence[Any]:
    """Return `uid`, `sid`, `kind` and `swiped_at` of the swipes after a time that have one of the keys `(uid, sid)`."""
    query = select(Swipe.uid, Swipe.sid, Swipe.kind, Swipe.swiped_at)
    return db.session.execute(query.where(tuple_(Swipe.uid, Swipe.sid).in_(keys), Swipe.swiped_at > after)).all()


def score_changes() -> Sequence[ScoreChange]:
    """Return all changes that wait to be counted."""
    query = select(ScoreChange).execution_options(everywhere="The count looks for swipes of anybody.")
    return db.session.scalars(query).all()


def insert_changes(changes: Iterable[tuple[int, datetime, int]], *, are_removals: bool) -> None:
    """Insert changes: id of the swiped person, time of the swipe, and the points to add to the score."""
    rows = [
        {"uid": uid, "id": new_id(), "swiped_at": at, "points": points, "is_removal": int(are_removals)}
        for uid, at, points in changes
    ]
    if rows:
        db.session.execute(insert(ScoreChange), rows)


def delete_changes(changes: Iterable[ScoreChange]) -> None:
    """Delete changes that are counted."""
    keys = [(change.uid, change.id) for change in changes]
    for start in range(0, len(keys), CHUNK):
        chosen = tuple_(ScoreChange.uid, ScoreChange.id).in_(keys[start : start + CHUNK])
        db.session.execute(delete(ScoreChange).where(chosen), execution_options={"synchronize_session": False})


# --- Scores ---


def add_to_scores(points: Mapping[int, int]) -> None:
    """Add points to the stored scores of people, by id."""
    # In one order, so that two transactions never wait for each other.
    rows = [{"uid": uid, "score": number} for uid, number in sorted(points.items()) if number]
    for start in range(0, len(rows), CHUNK):
        upsert(Score, rows[start : start + CHUNK], ["uid"], lambda old, new: {"score": old.score + new.score})


def delete_score(uid: int) -> None:
    """Delete the score of a person, and the changes of it that wait to be counted."""
    db.session.execute(delete(ScoreChange).where(ScoreChange.uid == uid))
    db.session.execute(delete(Score).where(Score.uid == uid))


def top_scores(limit: int) -> dict[int, int]:
    """Return the highest scores by id, at most `limit`. A score of 0 is none."""
    found: dict[int, int] = {}
    for has_sign in (Score.score > 0, Score.score < 0):
        # Two ranges of the index. One with a hole in it would read all the zeros in between.
        query = select(Score.uid, Score.score).where(has_sign).order_by(Score.score.desc()).limit(limit - len(found))
        if len(found) < limit:
            rows = db.session.execute(query.execution_options(everywhere="The ranking has people of any id."))
            found |= {row.uid: row.score for row in rows}
    return found


def scores_of(uids: Collection[int]) -> dict[int, int]:
    """Return the stored scores of people by id."""
    query = select(Score.uid, Score.score).where(Score.uid.in_(uids))
    return {row.uid: row.score for row in db.session.execute(query)}


# --- The count of everybody ---


def count_everybody(until: datetime) -> Iterator[tuple[int, int]]:
    """Yield id and right score of everybody in the order of ids: by the swipes up to a time, without waiting changes.

    A change that waits is added to the score later. What is yielded belongs to one moment, also while others write: a
    connection of its own keeps a snapshot.
    """
    with snapshot() as connection:
        changes = select(ScoreChange.uid, ScoreChange.points).where(ScoreChange.swiped_at <= until)
        waiting: Counter[int] = Counter()
        for uid, points in connection.execute(
            changes.execution_options(everywhere="Swipes are distributed by who swiped.")
        ):
            waiting[uid] += points
        points_of = case(*[(Swipe.kind == kind, value) for kind, value in POINTS.items()], else_=0)
        score: ColumnElement[Any] = func.sum(points_of)
        query = select(Swipe.sid, score).where(Swipe.swiped_at <= until).group_by(Swipe.sid).order_by(Swipe.sid)
        query = query.execution_options(yield_per=BATCH, everywhere="Swipes are distributed by who swiped.")
        # Two sorted streams become one.
        swiped = ((uid, int(points)) for uid, points in connection.execute(query))
        taken = ((uid, -points) for uid, points in sorted(waiting.items()))
        for uid, parts in itertools.groupby(heapq.merge(swiped, taken), key=operator.itemgetter(0)):
            yield uid, sum(points for _, points in parts)


def stored_scores() -> Iterator[tuple[int, int]]:
    """Yield id and stored score of everybody who has one, in the order of ids."""
    last = -1
    while True:
        query = select(Score.uid, Score.score).where(Score.uid > last).order_by(Score.uid).limit(BATCH)
        query = query.execution_options(everywhere="The count corrects scores of anybody.")
        rows = [(uid, score) for uid, score in db.session.execute(query)]
        db.session.rollback()
        yield from rows
        if len(rows) < BATCH:
            return
        last = rows[-1][0]
