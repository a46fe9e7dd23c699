"""A crowd that has swiped for three months: `python -m bench.crowd SWIPES` fills the swipes of a site full of robots.

Robots want the other sex of their own city, so each pair is a man and a woman of one city. The walk goes over the men,
and each draws his women without repetition: every pair is decided once, both directions together, and nothing has to
be remembered of the pairs before. In memory are the ids of one city and the rows of one batch, however many swipes
there are: 150 MB with a million people, of which the application itself takes most.
"""

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import click
from sqlalchemy.schema import AddConstraint, CreateIndex, DropConstraint, DropIndex, ExecutableDDLElement

from bench.cities import BUSY_SWIPES, City, read_city
from swiper import create_app
from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.db.upsert import bulk_insert
from swiper.extensions import db
from swiper.robots.seeding import CITIES
from swiper.social.models import (
    FIRST_LIKES,
    FIRST_SWIPED,
    SECOND_LIKES,
    SECOND_SWIPED,
    Friend,
    LikeIn,
    Pair,
    Swipe,
    SwipeKind,
)

MODELS = (Swipe, LikeIn, Pair, Friend)
# What the busy may swipe of the other cities; of a site with 100,000 people it is enough for BUSY_SWIPES.
ELSEWHERE_SHARE = 1 / 2
LIKE_SHARE, SUPERLIKE_SHARE = 0.55, 0.05
# How often both of a pair have swiped; otherwise either has, equally often.
MUTUAL_SHARE = 0.3
# How often somebody has swiped back who was found by one of the busy, or who is liked by everybody.
BUSY_ANSWER_SHARE, LIKED_ANSWER_SHARE = 0.02, 0.0005
GOLDEN_RATIO = (1 + 5**0.5) / 2
DAYS = 90
BATCH_PAIRS = 20_000
SEED = 1

Draw = Callable[[], SwipeKind]
Progress = Callable[[int], None]


def mask_of(first: SwipeKind | None, second: SwipeKind | None) -> int:
    """The mask of a pair whose first has swiped `first` and whose second has swiped `second`; None is not at all."""
    bits = ((first, FIRST_LIKES, FIRST_SWIPED), (second, SECOND_LIKES, SECOND_SWIPED))
    return sum(like * kind.is_like | swiped for kind, like, swiped in bits if kind)


MASKS = {kinds: mask_of(*kinds) for kinds in product((None, *SwipeKind), repeat=2)}


@dataclass
class Batch:
    """Rows that wait to be stored together, in the order of their tables' columns below."""

    swipes: list[tuple[Any, ...]] = field(default_factory=list)
    likes_in: list[tuple[Any, ...]] = field(default_factory=list)
    pairs: list[tuple[Any, ...]] = field(default_factory=list)
    friends: list[tuple[Any, ...]] = field(default_factory=list)

    def add_swipe(self, uid: int, target_id: int, kind: SwipeKind, moment: datetime, *, is_answered: bool) -> None:
        """A swipe, and the queue entry of a like."""
        self.swipes.append((uid, target_id, kind, moment))
        if kind is not SwipeKind.DISLIKE:
            self.likes_in.append((target_id, uid, int(kind is SwipeKind.SUPERLIKE), int(is_answered), moment))

    def add_pair(
        self, one: int, other: int, kind: SwipeKind | None, answer: SwipeKind | None, moment: datetime
    ) -> None:
        """What stands between two people since `moment`: `kind` is what `one` thinks of `other`."""
        uids, kinds = ((one, other), (kind, answer)) if one < other else ((other, one), (answer, kind))
        self.pairs.append((*uids, MASKS[kinds], moment))
        if kind and answer and kind.is_like and answer.is_like:
            self.friends.append((*uids, moment))

    @transactional
    def store(self) -> None:
        """Write all rows in one transaction."""
        bulk_insert(Swipe, ("uid", "sid", "kind", "swiped_at"), self.swipes)
        bulk_insert(LikeIn, ("sid", "uid", "is_super", "is_answered", "liked_at"), self.likes_in)
        bulk_insert(Pair, ("uid1", "uid2", "mask", "changed_at"), self.pairs)
        bulk_insert(Friend, ("uid1", "uid2", "matched_at"), self.friends)


class Crowd:
    """Draws swipes and stores them; `progress` is told how many were stored with each batch."""

    def __init__(self, pick: random.Random, progress: Progress) -> None:
        self.pick = pick
        self.progress = progress
        # A day is left, so that nothing counts towards the quotas of the day of the measurement.
        self.end = now() - timedelta(days=1)
        self.batch = Batch()
        self.count = 0

    def fill(self, total: int) -> None:
        """Store about `total` swipes, so that each city has its share."""
        for number in range(len(CITIES)):
            city = read_city(db.session(), number)
            if not (city.men and city.women):
                raise ValueError("there are too few robots for a crowd")
            self._fill_city(city, total * (number + 1) // len(CITIES))
        self._store()

    def _fill_city(self, city: City, until: int) -> None:
        for uid in city.liked:
            for man in self.pick.sample(city.men, min(city.liked_by, len(city.men))):
                self._meet(man, uid, self._like, self._kind if self._is(LIKED_ANSWER_SHARE) else None)
        for uid in city.busy:
            self._swipe_many(uid, city.women, city.busy_swipes)
        mean = max(0, until - self.count) / len(city.men) / (1 + MUTUAL_SHARE)
        for number, man in enumerate(city.men):
            # From nobody to twice the mean. The multiples of the golden ratio lie evenly, so that the sum is right.
            known = min(int(number * GOLDEN_RATIO % 1 * (2 * mean + 1)), len(city.women))
            for woman in self.pick.sample(city.women, known):
                # Beyond the middle it is one of them alone.
                draw = self.pick.random() * 2 - 1
                his = self._kind if draw > -MUTUAL_SHARE else None
                hers = self._kind if draw < MUTUAL_SHARE else None
                self._meet(man, woman, his, hers)

    def fill_elsewhere(self) -> None:
        """Let the busy swipe in the other cities, which `fill` leaves out, until they have BUSY_SWIPES or nearly so."""
        cities = [read_city(db.session(), number) for number in range(len(CITIES))]
        for city in cities:
            women = [uid for other in cities if other is not city for uid in other.women]
            for uid in city.busy:
                self._swipe_many(uid, women, min(BUSY_SWIPES - city.busy_swipes, int(len(women) * ELSEWHERE_SHARE)))
        self._store()

    def _swipe_many(self, uid: int, women: Sequence[int], count: int) -> None:
        for woman in self.pick.sample(women, min(count, len(women))):
            self._meet(uid, woman, self._kind, self._kind if self._is(BUSY_ANSWER_SHARE) else None)

    def _meet(self, man: int, woman: int, his: Draw | None, hers: Draw | None) -> None:
        """One pair, of whom one or both have swiped."""
        kind, answer = his and his(), hers and hers()
        moments = [self._moment(), self._moment()]
        if kind:
            self.batch.add_swipe(man, woman, kind, moments[0], is_answered=answer is not None)
        if answer:
            self.batch.add_swipe(woman, man, answer, moments[1], is_answered=kind is not None)
        last = max(moments) if kind and answer else moments[0 if kind else 1]
        self.batch.add_pair(man, woman, kind, answer, last)
        self.count += bool(kind) + bool(answer)
        if len(self.batch.pairs) >= BATCH_PAIRS:
            self._store()

    def _store(self) -> None:
        self.batch.store()
        self.progress(len(self.batch.swipes))
        self.batch = Batch()

    def _is(self, share: float) -> bool:
        return self.pick.random() < share

    def _kind(self) -> SwipeKind:
        draw = self.pick.random() - LIKE_SHARE
        if draw < 0:
            return SwipeKind.LIKE
        return SwipeKind.SUPERLIKE if draw < SUPERLIKE_SHARE else SwipeKind.DISLIKE

    def _like(self) -> SwipeKind:
        share = SUPERLIKE_SHARE / (LIKE_SHARE + SUPERLIKE_SHARE)
        return SwipeKind.SUPERLIKE if self._is(share) else SwipeKind.LIKE

    def _moment(self) -> datetime:
        return self.end - timedelta(days=self.pick.random() * (DAYS - 1))


@contextmanager
def without_indexes() -> Iterator[None]:
    """Rows are loaded first and the indexes made afterwards, as PostgreSQL's manual advises (14.4.3).

    The primary keys, made last, refuse a pair that was decided twice.
    """
    tables = [db.metadata.tables[model.__tablename__] for model in MODELS]
    keys = [table.primary_key for table in tables]
    indexes = [index for table in tables for index in table.indexes]
    drops: list[ExecutableDDLElement] = [*map(DropConstraint, keys), *map(DropIndex, indexes)]
    makes: list[ExecutableDDLElement] = [*map(CreateIndex, indexes), *map(AddConstraint, keys)]
    for drop in drops:
        _alter(drop)
    yield
    with click.progressbar(makes, label="indexes") as bar:
        for make in bar:
            _alter(make)


@transactional
def _alter(change: ExecutableDDLElement) -> None:
    db.session.execute(change)


def main(total: int) -> None:
    """Fill the site of this process's environment."""
    with create_app().app_context(), without_indexes(), click.progressbar(length=total, label="swipes") as bar:
        Crowd(random.Random(SEED), bar.update).fill(total)


if __name__ == "__main__":
    main(int(sys.argv[1]))
