"""Flash sales and orders as operators list them."""

from collections.abc import Sequence

from swiper.admin.queries import shop as queries
from swiper.errors import NotFoundError
from swiper.vip.models import FlashSale, Order, OrderState
from swiper.vip.queries import purchases


def newest_sales(limit: int, below: int | None = None) -> Sequence[FlashSale]:
    """At most `limit` sales with ids lower than `below`, also those that are over, the newest first."""
    return queries.newest_sales(limit, below)


def newest_orders(
    limit: int, *, below: int | None = None, state: OrderState | None = None, uid: int | None = None
) -> Sequence[Order]:
    """At most `limit` orders that were made before the order `below`, the newest first.

    `state` and `uid` limit the list to one state and one buyer.
    """
    return queries.newest_orders(limit, below=below, state=state, uid=uid)


def find_order(order_id: int) -> Order:
    """The order of any buyer. Raises NotFoundError."""
    order = purchases.find_order(order_id)
    if order is None:
        raise NotFoundError()
    return order
