"""The view's permission, as a decorator beside the view."""

import functools
from collections.abc import Callable
from typing import Any

from flask import g

from swiper.vip.levels import require
from swiper.vip.models import Permission


def permission_required(permission: Permission) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Answer NOT_HAS_PERM unless the caller's VIP level unlocks `permission`; runs after the login hook."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        def check(*args: Any, **kwargs: Any) -> Any:
            require(g.vip_status, permission)
            return view(*args, **kwargs)

        return check

    return decorate
