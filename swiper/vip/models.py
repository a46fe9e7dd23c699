"""Tables of levels, quotas, memberships, orders and flash sales. Money is in whole cents of CNY."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, SmallInteger, String, UniqueConstraint
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


class QuotaKind(StrEnum):
    """What is counted each day."""

    LIKE = "like"
    SUPERLIKE = "superlike"
    REWIND = "rewind"


class OrderState(StrEnum):
    """`pending`: waits for its payment. `paid`: paid, and the membership is granted. `released`: not paid in time.

    `refund_due`: paid too late, or its place in the sale was given to somebody else. An operator pays it back.
    """

    PENDING = "pending"
    PAID = "paid"
    RELEASED = "released"
    REFUND_DUE = "refund_due"


class TicketState(StrEnum):
    """`queued`: waits for a place. `ordered`: has a place and an order. `sold_out`: no place was left.

    `released`: the order was not paid, and the place was given back.
    """

    QUEUED = "queued"
    ORDERED = "ordered"
    SOLD_OUT = "sold_out"
    RELEASED = "released"


class VipLevel(Model):
    """A level. An operator may change its name and its price for a month."""

    __tablename__ = "vip_levels"

    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(32))
    price_cents: Mapped[int] = mapped_column(BigInteger)


class VipPermission(Model):
    """A permission and what it allows."""

    __tablename__ = "vip_permissions"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    description: Mapped[str] = mapped_column(String(200))


class LevelPermission(Model):
    """A level has a permission."""

    __tablename__ = "vip_level_permissions"

    level: Mapped[int] = mapped_column(ForeignKey("vip_levels.level", ondelete="CASCADE"), primary_key=True)
    permission: Mapped[str] = mapped_column(ForeignKey("vip_permissions.name", ondelete="CASCADE"), primary_key=True)


class Quota(Model):
    """How often a user did something on `day`. The count of an earlier day is worth zero today.

    `day` only moves forward. A machine whose clock is behind (around midnight, or after a correction of its clock)
    counts on the stored day, so a day that has begun is never granted again.
    """

    __tablename__ = "quotas"

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[QuotaKind] = mapped_column(enum_type(QuotaKind, "kind"), primary_key=True)
    day: Mapped[date] = mapped_column(Date)
    used: Mapped[int] = mapped_column(BigInteger, default=0)


class Membership(Model):
    """The level that a user has until `expires_at`."""

    __tablename__ = "memberships"
    __table_args__ = (Index(None, "expires_at"), TABLE_OPTIONS)

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    level: Mapped[int] = mapped_column(SmallInteger)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PaidPeriod(Model):
    """What was paid for a part of a membership's time. An upgrade credits the rest of it."""

    __tablename__ = "paid_periods"

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    paid_cents: Mapped[int] = mapped_column(BigInteger)


class Order(Model):
    """A purchase of `months` of a level. `payment_id` is the payment provider's own number of the payment."""

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
    """A limited number of memberships, for sale from `starts_at` to `ends_at`. `price_cents` is for all `months`."""

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
    """A buyer's only ticket for a sale. `lapses` counts the orders of this buyer that were released unpaid."""

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
