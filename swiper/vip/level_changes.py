"""What an operator changes about a level; memberships that were bought keep their level and their end."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import delete, select

from swiper.db.transactions import transactional
from swiper.errors import NotFoundError, ParamError
from swiper.extensions import db
from swiper.vip.levels import invalidate_levels
from swiper.vip.models import LevelPermission, VipLevel, VipPermission
from swiper.vip.money import MAX_CENTS


@transactional
def change_level(number: int, name: str, price_cents: int, permissions: Collection[str]) -> tuple[dict[str, Any], ...]:
    """Replace name, monthly price and permissions of a level; what it was before and is now.

    Raises NotFoundError for no such level, ParamError for a price out of range or a permission that does not exist.
    Orders keep their amount.
    """
    if type(price_cents) is not int or not 0 <= price_cents <= MAX_CENTS:
        raise ParamError(errors={"price": ["Out of range."]})
    level = db.session.get(VipLevel, number, with_for_update=True, populate_existing=True)
    if level is None:
        raise NotFoundError()
    wanted = set(permissions)
    if not wanted <= set(db.session.scalars(select(VipPermission.name))):
        raise ParamError(errors={"permissions": ["Not one of the choices."]})
    before = _told(level)
    level.name, level.price_cents = name, price_cents
    db.session.execute(delete(LevelPermission).where(LevelPermission.level == number))
    db.session.add_all([LevelPermission(level=number, permission=permission) for permission in sorted(wanted)])
    db.session.flush()
    invalidate_levels()
    return before, _told(level)


def _told(level: VipLevel) -> dict[str, Any]:
    granted = select(LevelPermission.permission).where(LevelPermission.level == level.level)
    permissions = sorted(db.session.scalars(granted))
    return {"name": level.name, "price_cents": level.price_cents, "permissions": permissions}


def list_permissions() -> list[str]:
    """The names of all permissions that a level can have."""
    return list(db.session.scalars(select(VipPermission.name).order_by(VipPermission.name)))
