"""Levels, permissions and daily quotas: what a user may do now.

A quota is counted in the same transaction as what it pays for. A swipe that is refused, repeated or fails therefore
leaves no count, and a crash leaves nothing to repair.
"""

import functools
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec
from flask import current_app

from swiper.cache.invalidations import invalidate_shared_after_commit
from swiper.cache.values import get_or_load_shared
from swiper.clock import bounds_of, day_of, now, today
from swiper.db.statements import execute
from swiper.db.transactions import transactional
from swiper.errors import PermissionDeniedError, RateLimitedError
from swiper.vip.models import Membership, Permission, QuotaKind
from swiper.vip.queries import levels as queries
from swiper.vip.queries.purchases import find_membership

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
    """A level, its price for a month in cents, and the names of its permissions."""

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
        """`badge` as JSON."""
        return msgspec.json.encode(self.badge)


class VipStatus(NamedTuple):
    """A user's level now, and when it expires. An expired membership is level 0, which never expires."""

    level: Level
    expires_at: datetime | None

    def has(self, permission: Permission) -> bool:
        """Return True if the level has `permission`."""
        return permission.value in self.level.permissions


def list_levels() -> list[Level]:
    """Return all levels, lowest first. They are cached for `LEVELS_SECONDS`."""
    return get_or_load_shared(LEVELS_KEY, _load_levels, LEVELS_SECONDS, list[Level])


def _load_levels() -> list[Level]:
    granted: dict[int, list[str]] = {}
    for level, permission in queries.granted_permissions():
        granted.setdefault(level, []).append(permission)
    order = {permission.value: place for place, permission in enumerate(Permission)}

    def place_of(permission: str) -> tuple[int, str]:
        # An operator may have added permissions that this version does not know.
        return order.get(permission, len(order)), permission

    return [
        Level(row.level, row.name, row.price_cents, tuple(sorted(granted.get(row.level, []), key=place_of)))
        for row in queries.all_levels()
    ]


def find_level(number: int) -> Level:
    """Return the level with this number. One that is not stored has no name, no price and no permissions."""
    for level in list_levels():
        if level.level == number:
            return level
    return Level(number, "", 0, ())


def current_vip_status(level: int, expires_at: datetime | None) -> VipStatus:
    """Return the VIP status that a stored level and its expiry give now."""
    if level and expires_at and expires_at > now():
        return VipStatus(find_level(level), expires_at)
    return VipStatus(find_level(0), None)


def vip_status_of(uid: int) -> VipStatus:
    """Return the VIP status of a user, read from the database."""
    return status_of_row(find_membership(uid))


def status_of_row(row: Membership | None) -> VipStatus:
    """Return the VIP status that a stored membership gives now: level 0 where there is none."""
    return current_vip_status(row.level, row.expires_at) if row else current_vip_status(0, None)


def require(vip_status: VipStatus, permission: Permission) -> None:
    """Raise PermissionDeniedError unless the VIP status has `permission`."""
    if not vip_status.has(permission):
        raise PermissionDeniedError()


# --- Quotas ---


def limit_of(kind: QuotaKind, vip_status: VipStatus) -> int | None:
    """Return how many a day the VIP status allows. None means no limit."""
    if kind is QuotaKind.LIKE and vip_status.has(Permission.UNLIMIT_LIKE):
        return None
    limit: int = current_app.config[f"{kind.upper()}S_PER_DAY"]
    return limit


def spend_quota(uid: int, kind: QuotaKind, limit: int | None) -> None:
    """Count one for today in the running transaction.

    Raises RateLimitedError, with the time of the reset, if that is more than `limit`. The transaction must then end.
    """
    # Read once: midnight may come between two readings of the clock.
    moment = now()
    ((used,),) = execute(queries.COUNT_ONE, {"uid": uid, "kind": kind, "day": day_of(moment)})
    if limit is not None and used > limit:
        # Another machine, whose clock is ahead, may have counted a later day.
        ((day,),) = execute(queries.DAY, {"uid": uid, "kind": kind})
        reset_at = resets_at(day)
        raise RateLimitedError((reset_at - moment).total_seconds(), "Today's quota is used up.", reset_at=reset_at)


def give_back_quota(uid: int, kind: QuotaKind, day: date) -> None:
    """Subtract one that was counted on `day`, in the running transaction. The count of another day is not changed."""
    # What this machine has counted today is on a later day if the clock of another machine is ahead.
    queries.subtract_one(uid, kind, day, or_later=day >= today())


def quotas_left(uid: int, vip_status: VipStatus, day: date) -> dict[str, dict[str, int | None]]:
    """Return by kind the `limit` of `day`, what is `used` and what is `left`. None means no limit."""
    used = queries.used_since(uid, day)
    return {kind.value: _quota(limit_of(kind, vip_status), used.get(kind, 0)) for kind in QuotaKind}


def _quota(limit: int | None, used: int) -> dict[str, int | None]:
    return {"limit": limit, "used": used, "left": None if limit is None else max(0, limit - used)}


def resets_at(day: date) -> datetime:
    """Return when the quotas of `day` are reset, in UTC: the end of that day in the time zone of the service."""
    return bounds_of(day)[1]


# --- What the database starts with ---


@transactional
def seed_levels() -> None:
    """Insert the four levels and their permissions where they are missing. What an operator has changed stays.

    Only levels that this call creates get permissions, so a permission that an operator took away stays away.
    """
    known = {row.level for row in queries.all_levels()}
    fresh = [number for number in range(TOP_LEVEL + 1) if number not in known]
    queries.insert_permissions([{"name": name.value, "description": text} for name, text in DESCRIPTIONS.items()])
    if fresh:
        queries.insert_levels(
            [
                {"level": number, "name": f"会员-{number}", "price_cents": MONTHLY_STEP_CENTS * number}
                for number in fresh
            ],
            _seeded_permissions(fresh),
        )
        invalidate_levels()


def _seeded_permissions(levels: Collection[int]) -> list[dict[str, Any]]:
    return [
        {"level": number, "permission": permission.value}
        for permission, numbers in SEEDED.items()
        for number in numbers
        if number in levels
    ]


def invalidate_levels() -> None:
    """Invalidate what is cached of the levels when the running transaction commits."""
    invalidate_shared_after_commit(LEVELS_KEY, LEVELS_PAGE_KEY)
