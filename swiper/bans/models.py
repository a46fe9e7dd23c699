"""The table of banned networks."""

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from swiper.clock import now
from swiper.db.types import UtcDateTime
from swiper.extensions import TABLE_OPTIONS, Model


class IpBan(Model):
    """A banned network in its canonical text form, such as `203.0.113.9/32`. Without `expires_at` it stays."""

    __tablename__ = "ip_bans"
    __table_args__ = (Index(None, "expires_at"), TABLE_OPTIONS)

    network: Mapped[str] = mapped_column(String(49), primary_key=True)
    reason: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
