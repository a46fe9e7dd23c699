"""The tables of phone numbers and of codes that wait to be sent."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from swiper.db.types import UtcDateTime
from swiper.extensions import TABLE_OPTIONS, Model


class Phone(Model):
    """Makes a phone number unique. The first insert decides which user has it."""

    __tablename__ = "phones"

    phone: Mapped[str] = mapped_column(String(16), primary_key=True)
    uid: Mapped[int] = mapped_column(BigInteger)


class SmsOutbox(Model):
    """A code that waits to be sent, encrypted. The row is deleted when a provider has accepted the message."""

    __tablename__ = "sms_outbox"
    __table_args__ = (Index(None, "claimed_until"), TABLE_OPTIONS)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    phone: Mapped[str] = mapped_column(String(16))
    sealed_code: Mapped[str] = mapped_column(Text)
    claimed_until: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
