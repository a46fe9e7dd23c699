"""Levels, permissions and memberships: what a user may do at this moment."""

import functools
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgspec
from flask import current_app
from sqlalchemy import delete, func, select

from swiper.cache.invalidations import invalidate_shared_after_commit
from swiper.cache.values import get_or_load_shared
from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.db.upsert import insert_if_absent
from swiper.errors import PermissionDeniedError
from swiper.extensions import db
from swiper.ids import new_id
from swiper.signals import vip_changed
from swiper.vip.credit import Extension, MembershipLimitError, Paid, add_months, extend, price_of
from swiper.vip.models import (
    LevelPermission,
    Membership,
    Order,
    OrderState,
    PaidPeriod,
    Permission,
    VipLevel,
    VipPermission,
)

LEVELS_KEY = "vip-levels"
LEVELS_SECONDS = 300
LEVELS_PAGE_KEY = "page:vip-levels"
TOP_LEVEL = 3
MONTHLY_STEP_CENTS = 500

DESCRIPTIONS = {
    Permission.VIPFLAG: "badge",
    Permission.SUPERLIKE: "superlike",
    Permission.REWIND: "rewind",
    Permission.ANYLOCATION: "dating_location may differ from the own city",
    Permission.UNLIMIT_LIKE: "no daily like limit",
    Permission.WHO_LIKED_ME: "the liked_me list",
}
SEEDED = {
    Permission.VIPFLAG: (1, 3),
    Permission.SUPERLIKE: (1, 2, 3),
    Permission.REWIND: (2, 3),
    Permission.ANYLOCATION: (3,),
    Permission.UNLIMIT_LIKE: (2, 3),
    Permission.WHO_LIKED_ME: (3,),
}


@dataclass(frozen=True)
class Level:
    """One level with what it costs a month, in cents, and what it unlocks."""

    level: int
    name: str
    price_cents: int
    permissions: tuple[str, ...]

    @property
    def price(self) -> float:
        """The monthly price in yuan."""
        return self.price_cents / 100

    @property
    def badge(self) -> dict[str, object]:
        """The `vip` part of a user or card."""
        return {"level": self.level, "name": self.name, "badge": Permission.VIPFLAG.value in self.permissions}

    @functools.cached_property
    def badge_json(self) -> bytes:
        """The same as JSON."""
        return msgspec.json.encode(self.badge)


class VipStatus(NamedTuple):
    """Where a user stands now: an expired membership counts as level 0."""

    level: Level
    expires_at: datetime | None

    def has(self, permission: Permission) -> bool:
        """True when the level unlocks `permission`."""
        return permission.value in self.level.permissions


def list_levels() -> list[Level]:
    """All levels, lowest first."""
    return get_or_load_shared(LEVELS_KEY, _load_levels, LEVELS_SECONDS, list[Level])


def _load_levels() -> list[Level]:
    granted: dict[int, list[str]] = {}
    for level, permission in db.session.execute(select(LevelPermission.level, LevelPermission.permission)):
        granted.setdefault(level, []).append(permission)
    order = {permission.value: place for place, permission in enumerate(Permission)}

    def place_of(permission: str) -> tuple[int, str]:
        # An operator may have added permissions that this version does not know.
        return order.get(permission, len(order)), permission

    return [
        Level(row.level, row.name, row.price_cents, tuple(sorted(granted.get(row.level, []), key=place_of)))
        for row in db.session.scalars(select(VipLevel).order_by(VipLevel.level))
    ]


def find_level(number: int) -> Level:
    """The level with this number; an unseeded or removed one has no name and no permissions."""
    for level in list_levels():
        if level.level == number:
            return level
    return Level(number, "", 0, ())


def current_vip_status(level: int, expires_at: datetime | None) -> VipStatus:
    """What the stored membership is worth now."""
    if level and expires_at and expires_at > now():
        return VipStatus(find_level(level), expires_at)
    return VipStatus(find_level(0), None)


def vip_status_of(uid: int) -> VipStatus:
    """The VIP status of one user, read from the database."""
    row = db.session.get(Membership, uid, populate_existing=True)
    return _status_of_row(row)


def vip_statuses_of(uids: list[int]) -> dict[int, VipStatus]:
    """The VIP status of several users in one query."""
    rows = {row.uid: row for row in db.session.scalars(select(Membership).where(Membership.uid.in_(uids)))}
    return {uid: _status_of_row(rows.get(uid)) for uid in uids}


def _status_of_row(row: Membership | None) -> VipStatus:
    return current_vip_status(row.level, row.expires_at) if row else current_vip_status(0, None)


def require(current: VipStatus, permission: Permission) -> None:
    """Raise PermissionDeniedError unless the VIP status unlocks `permission`."""
    if not current.has(permission):
        raise PermissionDeniedError()


@transactional
def grant(uid: int, level: int, months: int, paid_cents: int | None = None) -> VipStatus:
    """Give a user `months` of `level` on top of what they have, for `paid_cents` or the list price.

    Raises MembershipLimitError.
    """
    row = lock_membership(uid)
    extension = extension_of(uid, row, level, months, paid_cents)
    row.level, row.expires_at = extension.level, extension.expires_at
    db.session.execute(delete(PaidPeriod).where(PaidPeriod.uid == uid))
    db.session.add_all(
        PaidPeriod(uid=uid, id=new_id(), starts_at=period.starts_at, ends_at=period.ends_at, paid_cents=period.cents)
        for period in extension.periods
        if period.starts_at < period.ends_at
    )
    announce(uid)
    return current_vip_status(row.level, row.expires_at)


def lock_membership(uid: int) -> Membership:
    """A user's membership, locked in the running transaction; one that has ended for whoever has none."""
    row = db.session.get(Membership, uid, with_for_update=True, populate_existing=True)
    if row is None:
        insert_if_absent(Membership, [{"uid": uid, "level": 0, "expires_at": now()}], ["uid"])
        row = db.session.get_one(Membership, uid, with_for_update=True, populate_existing=True)
    return row


def extension_of(uid: int, row: Membership | None, level: int, months: int, paid_cents: int | None = None) -> Extension:
    """What a purchase would make of a stored membership at this moment. Raises MembershipLimitError."""
    wanted, moment = find_level(level), now()
    current = _status_of_row(row)
    cents = wanted.price_cents * months if paid_cents is None else paid_cents
    try:
        periods = _periods_of(uid, current, moment)
        extension = extend(current, wanted, months, moment=moment, paid_cents=cents, periods=periods)
        if extension.expires_at > add_months(moment, 12 * current_app.config["MEMBERSHIP_YEARS_AHEAD"]):
            raise MembershipLimitError()
    except OverflowError as error:
        raise MembershipLimitError() from error
    return extension


def _periods_of(uid: int, current: VipStatus, moment: datetime) -> list[Paid]:
    """What was paid for the rest of a membership.

    Of time that the release before has granted no payment is noted. It counts at the list price, yet never as more than
    all that its owner has paid.
    """
    if current.expires_at is None:
        return []
    query = select(PaidPeriod.starts_at, PaidPeriod.ends_at, PaidPeriod.paid_cents).where(PaidPeriod.uid == uid)
    periods = [Paid(*row) for row in db.session.execute(query.order_by(PaidPeriod.ends_at))]
    start = max([moment, *(period.ends_at for period in periods)])
    if start < current.expires_at:
        cents = price_of(start, current.expires_at, current.level.price_cents)
        paid = select(func.sum(Order.amount_cents)).where(Order.uid == uid, Order.state == OrderState.PAID)
        total = None if periods else db.session.scalar(paid)
        periods.append(Paid(start, current.expires_at, cents if total is None else min(cents, int(total))))
    return periods


def announce(uid: int) -> None:
    """Tell those who keep what they know of a membership, in the transaction that may have changed it."""
    vip_changed.send(None, uid=uid)


@transactional
def expire_memberships() -> list[int]:
    """Delete the memberships that have run out; the users' ids are returned."""
    expired = list(db.session.scalars(select(Membership.uid).where(Membership.expires_at <= now()).limit(1000)))
    if expired:
        db.session.execute(delete(Membership).where(Membership.uid.in_(expired), Membership.expires_at <= now()))
        # A membership that was bought anew meanwhile has none that are over.
        db.session.execute(delete(PaidPeriod).where(PaidPeriod.uid.in_(expired), PaidPeriod.ends_at <= now()))
        for uid in expired:
            announce(uid)
    return expired


@transactional
def seed_levels() -> None:
    """Insert the four levels and their permissions where they are missing; an operator's changes stay.

    Permissions are given only to levels that this call creates, so one that an operator took away stays away.
    """
    known = set(db.session.scalars(select(VipLevel.level)))
    fresh = [number for number in range(TOP_LEVEL + 1) if number not in known]
    levels = [
        {"level": number, "name": f"会员-{number}", "price_cents": MONTHLY_STEP_CENTS * number} for number in fresh
    ]
    permissions = [{"name": name.value, "description": text} for name, text in DESCRIPTIONS.items()]
    insert_if_absent(VipPermission, permissions, ["name"])
    if fresh:
        insert_if_absent(VipLevel, levels, ["level"])
        rows = [
            {"level": number, "permission": permission.value}
            for permission, numbers in SEEDED.items()
            for number in numbers
            if number in fresh
        ]
        insert_if_absent(LevelPermission, rows, ["level", "permission"])
        invalidate_levels()


def invalidate_levels() -> None:
    """What is cached of the levels is out of date once the running transaction commits."""
    invalidate_shared_after_commit(LEVELS_KEY, LEVELS_PAGE_KEY)
