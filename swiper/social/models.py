"""Tables of swipes and matches. No foreign keys stand between users, so each table can be distributed by its key."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Index, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from swiper.clock import now
from swiper.db.types import UtcDateTime, enum_type
from swiper.extensions import TABLE_OPTIONS, Model

# Bits of `Pair.mask`.
FIRST_LIKES = 1
SECOND_LIKES = 2
ENDED = 4
FIRST_SWIPED = 8
SECOND_SWIPED = 16
# A like is a swipe as well.
MATCHED = FIRST_LIKES | SECOND_LIKES | FIRST_SWIPED | SECOND_SWIPED


class SwipeKind(StrEnum):
    """What somebody thinks of somebody."""

    LIKE = "like"
    SUPERLIKE = "superlike"
    DISLIKE = "dislike"

    @property
    def is_like(self) -> bool:
        """A superlike counts as a like."""
        return self is not SwipeKind.DISLIKE


class Swipe(Model):
    """`uid` swiped `sid`: at most once."""

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
    """The same like seen from the liked person's side: the head of their deck, and who liked them."""

    __tablename__ = "likes_in"
    __table_args__ = (
        Index(None, "sid", "is_answered", "is_super", "liked_at"),
        Index(None, "sid", "liked_at"),
        TABLE_OPTIONS,
    )

    sid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    is_super: Mapped[int] = mapped_column(SmallInteger, default=0)
    # The liked person has swiped back, either way; so those who wait for an answer are found without the others.
    is_answered: Mapped[int] = mapped_column(SmallInteger, default=0)
    liked_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class Pair(Model):
    """What stands between two people, in one row that every change between them locks first.

    Two likes at the same moment meet here: the second waits for the first one's commit and then sees its bit.
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


class Friend(Model):
    """A match: one row for both."""

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
    """An ended match of a deleted account with `uid`, kept by the digest of the number; see `ended_matches`."""

    __tablename__ = "ended_matches"
    __table_args__ = (Index(None, "uid"), Index(None, "deleted_at"), TABLE_OPTIONS)

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime] = mapped_column(UtcDateTime)
