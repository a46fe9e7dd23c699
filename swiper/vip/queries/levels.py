"""Statements about levels, their permissions and daily quotas."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import delete, select, update

from swiper.db.statements import Statement
from swiper.db.upsert import insert_if_absent
from swiper.extensions import db
from swiper.vip.models import LevelPermission, Quota, QuotaKind, VipLevel, VipPermission

# --- Quotas ---

# Only a later day starts a new count. MariaDB assigns from left to right, so `used` is computed before `day` changes.
COUNT_AGAIN = """ON CONFLICT (uid, kind) DO UPDATE
    SET used = CASE WHEN quotas.day >= excluded.day THEN quotas.used + 1 ELSE 1 END,
      day = CASE WHEN quotas.day >= excluded.day THEN quotas.day ELSE excluded.day END"""
COUNT_ONE = Statement(
    f"INSERT INTO quotas (uid, kind, day, used) VALUES (:uid, :kind, :day, 1) {COUNT_AGAIN} RETURNING used",  # noqa: S608
    int,
)
DAY = Statement("SELECT day FROM quotas WHERE uid = :uid AND kind = :kind", date)


def subtract_one(uid: int, kind: QuotaKind, day: date, *, or_later: bool) -> None:
    """Subtract one from a count of `day`, or also of a later day. A count of zero or of another day stays."""
    is_counted = Quota.day >= day if or_later else Quota.day == day
    statement = update(Quota).where(Quota.uid == uid, Quota.kind == kind, is_counted, Quota.used > 0)
    db.session.execute(
        statement.values(used=Quota.used - 1),
        execution_options={"synchronize_session": False},
    )


def used_since(uid: int, day: date) -> dict[QuotaKind, int]:
    """Return by kind what a user has used on `day` or later. Kinds without a count are missing."""
    rows = db.session.execute(select(Quota.kind, Quota.used).where(Quota.uid == uid, Quota.day >= day))
    return {row.kind: row.used for row in rows}


# --- Levels and permissions ---


def all_levels() -> list[VipLevel]:
    """Return all levels, lowest first."""
    return list(db.session.scalars(select(VipLevel).order_by(VipLevel.level)))


def granted_permissions() -> list[tuple[int, str]]:
    """Return each pair of a level and the name of a permission that the level has."""
    rows = db.session.execute(select(LevelPermission.level, LevelPermission.permission))
    return [(level, permission) for level, permission in rows]


def permissions_of_level(level: int) -> list[str]:
    """Return the names of the permissions that a level has, in alphabetical order."""
    return sorted(db.session.scalars(select(LevelPermission.permission).where(LevelPermission.level == level)))


def permission_names() -> list[str]:
    """Return the names of all permissions that a level can have, in alphabetical order."""
    return list(db.session.scalars(select(VipPermission.name).order_by(VipPermission.name)))


def lock_level(level: int) -> VipLevel | None:
    """Lock a level until the transaction ends and return it, or None if there is none."""
    return db.session.get(VipLevel, level, with_for_update=True, populate_existing=True)


def replace_permissions(level: int, names: Iterable[str]) -> None:
    """Give a level exactly these permissions."""
    db.session.execute(delete(LevelPermission).where(LevelPermission.level == level))
    db.session.add_all([LevelPermission(level=level, permission=name) for name in names])
    db.session.flush()


def insert_permissions(rows: list[dict[str, Any]]) -> None:
    """Insert rows of `vip_permissions`, except those whose name exists."""
    insert_if_absent(VipPermission, rows, ["name"])


def insert_levels(levels: list[dict[str, Any]], permissions: list[dict[str, Any]]) -> None:
    """Insert rows of `vip_levels`, and rows of `vip_level_permissions` for them, except those that exist."""
    insert_if_absent(VipLevel, levels, ["level"])
    insert_if_absent(LevelPermission, permissions, ["level", "permission"])
