"""Changes of a level by an operator. Memberships that were bought keep their level and their expiry."""

from collections.abc import Collection
from typing import Any

from swiper.db.transactions import transactional
from swiper.errors import NotFoundError, ParamError
from swiper.vip.levels import invalidate_levels
from swiper.vip.models import VipLevel
from swiper.vip.money import MAX_CENTS
from swiper.vip.queries import levels as queries


@transactional
def change_level(number: int, name: str, price_cents: int, permissions: Collection[str]) -> tuple[dict[str, Any], ...]:
    """Replace name, monthly price and permissions of a level. Return what it was before and what it is now.

    Raises NotFoundError if there is no such level, ParamError for a price out of range or an unknown permission.
    Orders keep their amount.
    """
    if type(price_cents) is not int or not 0 <= price_cents <= MAX_CENTS:
        raise ParamError(errors={"price": ["Out of range."]})
    level = queries.lock_level(number)
    if level is None:
        raise NotFoundError()
    wanted = set(permissions)
    if not wanted <= set(queries.permission_names()):
        raise ParamError(errors={"permissions": ["Not one of the choices."]})
    before = _described(level)
    level.name, level.price_cents = name, price_cents
    queries.replace_permissions(number, sorted(wanted))
    invalidate_levels()
    return before, _described(level)


def _described(level: VipLevel) -> dict[str, Any]:
    permissions = queries.permissions_of_level(level.level)
    return {"name": level.name, "price_cents": level.price_cents, "permissions": permissions}


def list_permissions() -> list[str]:
    """Return the names of all permissions that a level can have."""
    return queries.permission_names()
