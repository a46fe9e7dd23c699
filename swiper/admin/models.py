"""Tables of the operator's desk: second factors, the audit log, metrics by day."""

from datetime import date, datetime

from sqlalchemy import BigInteger, Date, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from swiper.clock import now
from swiper.db.types import UtcDateTime
from swiper.extensions import TABLE_OPTIONS, Model


class SecondFactor(Model):
    """An operator's authenticator. It is in use once `confirmed_at` is set.

    `last_step` is the time step (RFC 6238) of the last code that was used, so that no code is used twice.
    """

    __tablename__ = "second_factors"

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sealed_secret: Mapped[str] = mapped_column(String(255))
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_step: Mapped[int] = mapped_column(BigInteger, default=0)


class RecoveryCode(Model):
    """A keyed digest of a code that replaces the authenticator once."""

    __tablename__ = "recovery_codes"

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)


class OperatorAction(Model):
    """An entry of the audit log: who changed what, from which state to which. Both states are JSON.

    `uid` is NULL for the command line. `actor` is the operator's nickname at that time; entries of the first releases
    have none.
    """

    __tablename__ = "operator_actions"
    __table_args__ = (
        Index(None, "uid", "id"),
        Index(None, "action", "id"),
        Index(None, "target", "id"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    uid: Mapped[int | None] = mapped_column(BigInteger)
    actor: Mapped[str | None] = mapped_column(String(32))
    action: Mapped[str] = mapped_column(String(32))
    target: Mapped[str] = mapped_column(String(64))
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)


class DailyMetric(Model):
    """The value of one metric on a calendar day of `TIMEZONE`. The table keeps its name, which is older."""

    __tablename__ = "daily_figures"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)
