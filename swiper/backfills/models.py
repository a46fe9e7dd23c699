"""The table of backfills."""

from datetime import datetime

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from swiper.clock import now
from swiper.db.types import UtcDateTime
from swiper.extensions import Model


class BackfillRun(Model):
    """How far a backfill is. `last_key` is that of the last row it has looked at, and empty when it has finished."""

    __tablename__ = "backfills"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    last_key: Mapped[str] = mapped_column(Text, default="")
    # About: rows that were added later were not counted.
    rows_left: Mapped[int] = mapped_column(BigInteger)
    rows_changed: Mapped[int] = mapped_column(BigInteger, default=0)
    # When the task or the command first saw it.
    added_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
