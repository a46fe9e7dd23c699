"""Tables of swipes and matches, and the state of a pair of people.

No foreign key refers from one user to another, so each table can be distributed by its own key. Columns called `sid`
hold the id of the person who is swiped or liked; Python code calls it `target_id`. The columns keep their name, since
renaming them would need a migration of millions of rows.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Index, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from swiper.clock import now
from swiper.db.types import UtcDateTime, enum_type
from swiper.extensions import TABLE_OPTIONS, Model

# Bits of `Pair.mask`. FIRST is the person with the lower id.
FIRST_LIKES = 1
SECOND_LIKES = 2
ENDED = 4
FIRST_SWIPED = 8
SECOND_SWIPED = 16
# A like is a swipe as well.
MATCHED = FIRST_LIKES | SECOND_LIKES | FIRST_SWIPED | SECOND_SWIPED


class SwipeKind(StrEnum):
    """The kinds of swipes, by their values in the database."""

    LIKE = "like"
    SUPERLIKE = "superlike"
    DISLIKE = "dislike"

    @property
    def is_like(self) -> bool:
        """True for a like and for a superlike."""
        return self is not SwipeKind.DISLIKE


# What a swipe adds to the score of the swiped person in the ranking.
POINTS = {SwipeKind.LIKE: 5, SwipeKind.SUPERLIKE: 7, SwipeKind.DISLIKE: -5}


class Swipe(Model):
    """The swipe of `uid` on `sid`. There is at most one."""

    __tablename__ = "swipes"
    __table_args__ = (
        CheckConstraint("uid <> sid", name="not_self"),
        Index(None, "uid", "swiped_at"),
        TABLE_OPTIONS,
    )

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[SwipeKind] = mapped_column(enum_type(SwipeKind, "kind"))
    swiped_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class LikeIn(Model):
    """The like of `uid` for `sid`, stored with the liked person: who stands first in their deck, and who liked them."""

    __tablename__ = "likes_in"
    __table_args__ = (
        Index(None, "sid", "is_answered", "is_super", "liked_at"),
        Index(None, "sid", "liked_at"),
        TABLE_OPTIONS,
    )

    sid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    is_super: Mapped[int] = mapped_column(SmallInteger, default=0)
    # 1 if the liked person has swiped back, with any kind of swipe. The index finds those who wait for an answer.
    is_answered: Mapped[int] = mapped_column(SmallInteger, default=0)
    liked_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class Pair(Model):
    """The state between two people. Every change between them locks this row first.

    Of two likes at the same moment, the second waits for the commit of the first, and then sees its bit.
    """

    __tablename__ = "pairs"
    __table_args__ = (
        CheckConstraint("uid1 < uid2", name="in_order"),
        CheckConstraint("mask >= 0 AND mask <= 31", name="mask_range"),
        Index(None, "uid2"),
        Index(None, "mask", "changed_at"),
        TABLE_OPTIONS,
    )

    uid1: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    uid2: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    mask: Mapped[int] = mapped_column(SmallInteger, default=0)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


@dataclass
class PairState:
    """A pair as one of the two sees it: which bits of `mask` are the own ones, and which are the other person's."""

    uid1: int
    uid2: int
    own_like: int
    own_swipe: int
    other_like: int
    other_swipe: int
    mask: int = 0

    @property
    def key(self) -> dict[str, int]:
        """The key of the row."""
        return {"uid1": self.uid1, "uid2": self.uid2}

    @property
    def is_matched(self) -> bool:
        """True if both like each other and neither has ended the match."""
        return self.mask == MATCHED

    @property
    def is_ended(self) -> bool:
        """True if one of the two has ended the match."""
        return bool(self.mask & ENDED)


def pair_of(uid: int, target_id: int) -> PairState:
    """Return the pair as `uid` sees it, with an empty mask. Nothing is read from the database."""
    first, second = (FIRST_LIKES, FIRST_SWIPED), (SECOND_LIKES, SECOND_SWIPED)
    if uid < target_id:
        return PairState(uid, target_id, *first, *second)
    return PairState(target_id, uid, *second, *first)


class Friend(Model):
    """A match. There is one row for both people."""

    __tablename__ = "friends"
    __table_args__ = (
        CheckConstraint("uid1 < uid2", name="in_order"),
        Index(None, "uid1", "matched_at"),
        Index(None, "uid2", "matched_at"),
        TABLE_OPTIONS,
    )

    uid1: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    uid2: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    matched_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class EndedMatch(Model):
    """An ended match of a deleted account with `uid`, by the keyed digest of the account's number."""

    __tablename__ = "ended_matches"
    __table_args__ = (Index(None, "uid"), Index(None, "deleted_at"), TABLE_OPTIONS)

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Score(Model):
    """The points of the swipes on `uid` that are counted: those up to `RankingState.counted_until`."""

    __tablename__ = "scores"
    __table_args__ = (Index(None, "score"), TABLE_OPTIONS)

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    score: Mapped[int] = mapped_column(BigInteger)


class ScoreChange(Model):
    """A swipe on `uid` that was removed, or stored with a former time, so that the count by time does not see it.

    `points` are added to the score: those of a removed swipe are negative. The row does not say who has swiped.
    """

    __tablename__ = "score_changes"
    __table_args__ = (TABLE_OPTIONS,)

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    swiped_at: Mapped[datetime] = mapped_column(UtcDateTime)
    points: Mapped[int] = mapped_column(SmallInteger)
    is_removal: Mapped[int] = mapped_column(SmallInteger)


class RankingState(Model):
    """One row: up to which time `scores` has all swipes. `version` rises with each change of `scores` by a count."""

    __tablename__ = "ranking_state"
    __table_args__ = (TABLE_OPTIONS,)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    counted_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(BigInteger)
