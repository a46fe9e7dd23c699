"""Levels, permissions and memberships: what a user may do at this moment."""

import calendar
import functools
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import delete, select

from swiper.dialect import after_commit, insert_if_absent, now, transactional
from swiper.errors import PermissionDeniedError
from swiper.extensions import db
from swiper.memo import forget, recall_for_all
from swiper.signals import vip_changed
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


class Standing(NamedTuple):
    """Where a user stands now: an expired membership counts as level 0."""

    level: Level
    expires_at: datetime | None

    def has(self, permission: Permission) -> bool:
        """True when the level unlocks `permission`."""
        return permission.value in self.level.permissions


def list_levels() -> list[Level]:
    """All levels, lowest first."""
    return recall_for_all(LEVELS_KEY, _load_levels, LEVELS_SECONDS, list[Level])


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


def standing(level: int, expires_at: datetime | None) -> Standing:
    """What the stored membership is worth now."""
    if level and expires_at and expires_at > now():
        return Standing(find_level(level), expires_at)
    return Standing(find_level(0), None)


def standing_of(uid: int) -> Standing:
    """The standing of one user, read from the database."""
    row = db.session.get(Membership, uid, populate_existing=True)
    return standing(row.level, row.expires_at) if row else standing(0, None)


def standings_of(uids: list[int]) -> dict[int, Standing]:
    """The standings of several users in one query."""
    rows = {row.uid: row for row in db.session.scalars(select(Membership).where(Membership.uid.in_(uids)))}
    return {uid: standing(rows[uid].level, rows[uid].expires_at) if uid in rows else standing(0, None) for uid in uids}


def require(current: Standing, permission: Permission) -> None:
    """Raise PermissionDeniedError unless the standing unlocks `permission`."""
    if not current.has(permission):
        raise PermissionDeniedError()


def add_months(start: datetime, months: int) -> datetime:
    """The same day `months` later, or that month's last day where it is shorter."""
    index = start.year * 12 + start.month - 1 + months
    year, month = index // 12, index % 12 + 1
    day = min(start.day, calendar.monthrange(year, month)[1])
    return start.replace(year=year, month=month, day=day)


def extend(current: Standing, level: Level, months: int, *, moment: datetime) -> tuple[int, datetime]:
    """Level and expiry after buying `months` of `level`.

    The same level is extended. A higher one starts now, and what is left of the lower one is credited at the ratio of
    the prices, at most one to one; a lower one extends the higher one at that ratio. Nothing that was paid is lost.
    """
    if current.expires_at is None:
        return level.level, add_months(moment, months)
    held = current.level
    if level.level == held.level:
        return held.level, add_months(current.expires_at, months)
    if level.level > held.level:
        rest = (current.expires_at - moment) * _ratio(held, level)
        return level.level, add_months(moment, months) + rest
    bought = add_months(moment, months) - moment
    return held.level, current.expires_at + bought * _ratio(level, held)


def _ratio(cheap: Level, dear: Level) -> float:
    return min(1.0, cheap.price_cents / dear.price_cents) if dear.price_cents else 1.0


@transactional
def grant(uid: int, level: int, months: int) -> Standing:
    """Give a user `months` of `level` on top of what they have."""
    row = db.session.get(Membership, uid, with_for_update=True, populate_existing=True)
    if row is None:
        insert_if_absent(Membership, [{"uid": uid, "level": 0, "expires_at": now()}], ["uid"])
        row = db.session.get_one(Membership, uid, with_for_update=True, populate_existing=True)
    current = standing(row.level, row.expires_at)
    row.level, row.expires_at = extend(current, find_level(level), months, moment=now())
    after_commit(lambda: announce(uid))
    return standing(row.level, row.expires_at)


def announce(uid: int) -> None:
    """Tell those who keep what they know of a membership that it may have changed."""
    vip_changed.send(None, uid=uid)


@transactional
def expire_memberships() -> list[int]:
    """Delete the memberships that have run out; the users' ids are returned."""
    expired = list(db.session.scalars(select(Membership.uid).where(Membership.expires_at <= now()).limit(1000)))
    if expired:
        db.session.execute(delete(Membership).where(Membership.uid.in_(expired), Membership.expires_at <= now()))
        for uid in expired:
            after_commit(functools.partial(announce, uid))
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
    after_commit(forget_levels)


def forget_levels() -> None:
    """Drop what is cached of the levels, after a change to them."""
    forget(LEVELS_KEY, LEVELS_PAGE_KEY)
