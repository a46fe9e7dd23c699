"""Everybody's score in the database: the points of the swipes up to a time, which moves on with each count.

Nothing is written for the ranking when somebody swipes. A count reads the swipes that came since the last one: each of
them has changed its pair, and `pairs` has an index by the time of the change. It adds their points to `scores` and
moves the time, in one transaction that nobody else can have done already, so a count that is killed or repeated counts
nothing twice. A swipe that is removed (rewind, deletion), or stored with a former time, leaves a `ScoreChange` in its
own transaction.

Whether a change is counted depends on what the count has seen of its swipe. So each count reads the swipes first and
the changes afterwards. A removed swipe that it has seen has been added, or will be, and its points are taken back. One
that it has not seen was gone before, and so its change, which it sees, means nothing.
"""

import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.extensions import db
from swiper.social.models import POINTS, ScoreChange
from swiper.social.queries import ranking as queries

log = logging.getLogger(__name__)

T = TypeVar("T")

# Longer than any request can take from the time that its swipe has to its commit; `sweep_deleted` waits as long.
LATE = timedelta(minutes=2)
# More than the clocks of two machines differ by. A pair has the time of the machine that has changed it last.
CLOCK_SKEW = timedelta(seconds=30)
# After a pause that is longer, to count everybody costs less memory than to read all swipes since then. Longer than the
# task may run, since nothing else is counted while everybody is.
LONGEST_PAUSE = timedelta(hours=2)
# How many scores one transaction corrects.
BATCH = 5_000


@dataclass(frozen=True)
class Uncounted:
    """What the stored scores of a version lack: the swipes after a time, and changes of swipes, read after them.

    `swipes` has id and time of the swiped person's swipe, and the points. Two swipes on a person in the same
    microsecond are taken for one where one of them is removed; the next count of everybody corrects that.
    """

    version: int
    since: datetime
    swipes: Sequence[tuple[int, datetime, int]]
    changes: Sequence[ScoreChange]

    def points(self, until: datetime | None = None) -> Counter[int]:
        """Return the points by id, of swipes up to a time or of all. Adding them to the scores makes these right."""
        points: Counter[int] = Counter()
        for target_id, at, number in self.swipes:
            if until is None or at <= until:
                points[target_id] += number
        seen = {(target_id, at) for target_id, at, _ in self.swipes}
        gone = {(change.uid, change.swiped_at) for change in self.changes if change.is_removal}
        for change in self.changes_until(until):
            key = change.uid, change.swiped_at
            is_missing = key in seen if change.is_removal else key not in seen and key not in gone
            if change.swiped_at <= self.since or is_missing:
                points[change.uid] += change.points
        return points

    def changes_until(self, until: datetime | None) -> list[ScoreChange]:
        """Return the changes of swipes up to a time, or all."""
        return [change for change in self.changes if until is None or change.swiped_at <= until]


def needs_full_count() -> bool:
    """Return True if nothing was counted yet, not for long, or by a clock that was ahead."""
    counted_until, _ = queries.read_state()
    return counted_until is None or not now() - LATE - LONGEST_PAUSE <= counted_until <= now()


def count_new_swipes() -> Counter[int]:
    """Add the points of new swipes to the scores, except of those that are too new. Return the points of these by id.

    Where another process counts at the same moment, one of the two does nothing. Raises RuntimeError if everybody must
    be counted first.
    """
    # A swipe that is committed after it was looked for must have a later time.
    until = now() - LATE
    uncounted = read_uncounted()
    points = uncounted.points()
    if until > uncounted.since:
        counted = uncounted.points(until)
        if not _store(uncounted, until, counted):
            log.info("another process has counted the new swipes")
            return read_uncounted().points()
        points.subtract(counted)
    return points


def read_uncounted() -> Uncounted:
    """Return what the stored scores lack. Raises RuntimeError if nothing was counted yet."""
    since, version = queries.read_state()
    if since is None:
        raise RuntimeError("the scores are empty until everybody is counted")
    swipes = []
    pairs = queries.changed_pairs(since - CLOCK_SKEW)
    keys = itertools.chain.from_iterable(((one, other), (other, one)) for one, other in pairs)
    for chunk in in_parts(keys, queries.CHUNK):
        swipes += [(sid, at, POINTS[kind]) for _, sid, kind, at in queries.swipes_after(chunk, since)]
    # A transaction that began before the last swipe was read may not see the changes that came after it.
    db.session.rollback()
    changes = queries.score_changes()
    db.session.expunge_all()
    db.session.rollback()
    return Uncounted(version, since, swipes, changes)


@transactional
def _store(uncounted: Uncounted, until: datetime, points: Counter[int]) -> bool:
    if not queries.move_state(uncounted.version, until):
        return False
    queries.add_to_scores(points)
    queries.delete_changes(uncounted.changes_until(until))
    return True


def count_everybody() -> int:
    """Correct the scores by all swipes, and return how many were wrong. Swipes go on meanwhile.

    Raises RuntimeError if another process counts at the same time.
    """
    _insert_state()
    counted_until, version = queries.read_state()
    until = counted_until
    if counted_until is None or needs_full_count():
        # Until the end the scores are of no time. If this process dies, everybody is counted again.
        counted_until, until = None, now() - LATE
        version = _correct(version, {}, None)
    assert until is not None
    corrected = 0
    for batch in in_parts(_wrong_scores(until), BATCH):
        version = _correct(version, dict(batch), counted_until)
        corrected += len(batch)
    _correct(version, {}, until)
    return corrected


_insert_state = transactional(queries.insert_state)


def _wrong_scores(until: datetime) -> Iterator[tuple[int, int]]:
    """Yield the id of everybody whose score is wrong, and what must be added to it."""
    right, stored = queries.count_everybody(until), queries.stored_scores()
    known, score = next(stored, (None, 0))
    for uid, points in right:
        while known is not None and known < uid:
            if score:
                yield known, -score
            known, score = next(stored, (None, 0))
        found = score if known == uid else 0
        if points != found:
            yield uid, points - found
        if known == uid:
            known, score = next(stored, (None, 0))
    while known is not None:
        if score:
            yield known, -score
        known, score = next(stored, (None, 0))


def _correct(version: int, points: dict[int, int], counted_until: datetime | None) -> int:
    """Add to scores of this version, and return the next version. Raises RuntimeError if another process was faster."""
    if not _store_corrections(version, points, counted_until):
        raise RuntimeError("another process counts the scores at the same time")
    return version + 1


@transactional
def _store_corrections(version: int, points: dict[int, int], counted_until: datetime | None) -> bool:
    if not queries.move_state(version, counted_until):
        return False
    queries.add_to_scores(points)
    return True


def in_parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of up to `size` items."""
    rest = iter(items)
    while part := list(itertools.islice(rest, size)):
        yield part
