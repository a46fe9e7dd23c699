"""Tables of levels, memberships, orders and flash sales. Money is whole cents of CNY."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from swiper.clock import now
from swiper.db.types import UtcDateTime, enum_type
from swiper.extensions import TABLE_OPTIONS, Model


class Permission(StrEnum):
    """What a level can unlock."""

    VIPFLAG = "vipflag"
    SUPERLIKE = "superlike"
    REWIND = "rewind"
    ANYLOCATION = "anylocation"
    UNLIMIT_LIKE = "unlimit_like"
    WHO_LIKED_ME = "who_liked_me"


class OrderState(StrEnum):
    """An order waits for its payment, is paid and granted, or was released unpaid.

    A payment that cannot be honoured any more makes `refund_due`: it came too late, or the place is another's by now.
    """

    PENDING = "pending"
    PAID = "paid"
    RELEASED = "released"
    REFUND_DUE = "refund_due"


class TicketState(StrEnum):
    """A place in a flash sale's queue."""

    QUEUED = "queued"
    ORDERED = "ordered"
    SOLD_OUT = "sold_out"
    RELEASED = "released"


class VipLevel(Model):
    """One level; an operator may change name and price."""

    __tablename__ = "vip_levels"

    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(32))
    price_cents: Mapped[int] = mapped_column(BigInteger)


class VipPermission(Model):
    """One permission and what it gives."""

    __tablename__ = "vip_permissions"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    description: Mapped[str] = mapped_column(String(200))


class LevelPermission(Model):
    """A level has a permission."""

    __tablename__ = "vip_level_permissions"

    level: Mapped[int] = mapped_column(ForeignKey("vip_levels.level", ondelete="CASCADE"), primary_key=True)
    permission: Mapped[str] = mapped_column(ForeignKey("vip_permissions.name", ondelete="CASCADE"), primary_key=True)


class Membership(Model):
    """The level that a user has bought, until `expires_at`."""

    __tablename__ = "memberships"
    __table_args__ = (Index(None, "expires_at"), TABLE_OPTIONS)

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    level: Mapped[int] = mapped_column(SmallInteger)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PaidPeriod(Model):
    """What was paid for a stretch of a membership, in cents: what an upgrade credits."""

    __tablename__ = "paid_periods"

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    paid_cents: Mapped[int] = mapped_column(BigInteger)


class Order(Model):
    """A purchase of `months` of a level; `payment_id` is the provider's own number once it is paid."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("months > 0", name="months_positive"),
        CheckConstraint("amount_cents >= 0", name="amount_not_negative"),
        Index(None, "uid"),
        Index(None, "state", "created_at"),
        Index(None, "paid_at"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    uid: Mapped[int] = mapped_column(BigInteger)
    level: Mapped[int] = mapped_column(SmallInteger)
    months: Mapped[int] = mapped_column(SmallInteger)
    amount_cents: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3), default="CNY")
    provider: Mapped[str] = mapped_column(String(32))
    state: Mapped[OrderState] = mapped_column(enum_type(OrderState, "state"), default=OrderState.PENDING)
    sale_id: Mapped[int | None] = mapped_column(BigInteger)
    payment_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    paid_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FlashSale(Model):
    """A limited number of memberships at a special price within a window."""

    __tablename__ = "flash_sales"
    __table_args__ = (
        CheckConstraint("sold >= 0 AND sold <= stock", name="sold_within_stock"),
        CheckConstraint("starts_at < ends_at", name="window_not_empty"),
        TABLE_OPTIONS,
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(64))
    level: Mapped[int] = mapped_column(SmallInteger)
    months: Mapped[int] = mapped_column(SmallInteger)
    price_cents: Mapped[int] = mapped_column(BigInteger)
    stock: Mapped[int] = mapped_column(BigInteger)
    sold: Mapped[int] = mapped_column(BigInteger, default=0)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @property
    def left(self) -> int:
        """How many can still be bought."""
        return self.stock - self.sold


class Ticket(Model):
    """A buyer's one place in the queue of a sale; `lapses` counts the places that were released unpaid."""

    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("uid", "sale_id"),
        Index(None, "state", "queued_at"),
        TABLE_OPTIONS,
    )

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sale_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[TicketState] = mapped_column(enum_type(TicketState, "state"), default=TicketState.QUEUED)
    order_id: Mapped[int | None] = mapped_column(BigInteger)
    lapses: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    queued_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
