"""Checks the permission that a view needs."""

import functools
from collections.abc import Callable
from typing import Any

from flask import g

from swiper.vip.levels import require
from swiper.vip.models import Permission


def permission_required(permission: Permission) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a view that needs `permission`. The login hook must have set `g.vip_status`.

    The view then raises PermissionDeniedError for a caller without the permission.
    """

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        def check(*args: Any, **kwargs: Any) -> Any:
            require(g.vip_status, permission)
            return view(*args, **kwargs)

        return check

    return decorate
