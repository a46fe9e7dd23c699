"""The table of cached values that are out of date."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from swiper.clock import now
from swiper.db.types import UtcDateTime
from swiper.extensions import TABLE_OPTIONS, Model

# The `uid` of values that are cached once for all users.
SHARED = 0


class Invalidation(Model):
    """A cached value that a transaction has changed. The row is deleted when the cache no longer has the old value."""

    __tablename__ = "invalidations"
    __table_args__ = (Index(None, "created_at"), TABLE_OPTIONS)

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
