"""SQL of the export: a user's rows of each table."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from swiper.db.row_pages import rows_of
from swiper.profiles.models import Operator, Preferences, ProfileChange, Upload, User
from swiper.vip.models import Membership, Order, PaidPeriod, Quota, Ticket

# By the name in `ExportOut`.
OWNED: dict[str, Any] = {
    "preferences": Preferences,
    "profile_changes": ProfileChange,
    "uploads": Upload,
    "membership": Membership,
    "paid_periods": PaidPeriod,
    "tickets": Ticket,
    "quotas": Quota,
    "operator": Operator,
}


def owned_rows(uid: int) -> dict[str, Iterator[list[dict[str, Any]]]]:
    """Pages of a user's rows, by the name in `ExportOut`; a page is read when it is asked for."""
    orders = select(Order).where(Order.uid == uid)
    return {
        "account": rows_of(select(User).where(User.id == uid)),
        **{name: rows_of(select(model).where(model.uid == uid)) for name, model in OWNED.items()},
        "orders": rows_of(orders.execution_options(everywhere="Orders are distributed by their own id.")),
    }
