"""Levels, permissions and memberships: what a user may do at this moment."""

import functools
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import select

from swiper.cache.invalidations import invalidate_shared_after_commit
from swiper.cache.values import get_or_load_shared
from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.db.upsert import insert_if_absent
from swiper.errors import PermissionDeniedError
from swiper.extensions import db
from swiper.vip.models import LevelPermission, Membership, Permission, VipLevel, VipPermission

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
    return status_of_row(row)


def status_of_row(row: Membership | None) -> VipStatus:
    """What a stored membership is worth now; level 0 for a user who has none."""
    return current_vip_status(row.level, row.expires_at) if row else current_vip_status(0, None)


def require(current: VipStatus, permission: Permission) -> None:
    """Raise PermissionDeniedError unless the VIP status unlocks `permission`."""
    if not current.has(permission):
        raise PermissionDeniedError()


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
