"""Celery tasks of flash sales, orders and memberships."""

from celery import shared_task

from swiper.tasks.queue import only_one, sweep
from swiper.vip.memberships import expire_memberships
from swiper.vip.orders import purge_orders, release_order, unpaid_orders
from swiper.vip.sales import lost_tickets, serve_ticket


@shared_task(name="vip.serve_ticket", ignore_result=False)
def serve(uid: int, ticket_id: int) -> str | None:
    """Serve one ticket and return its state, or None if it is gone."""
    state = serve_ticket(uid, ticket_id)
    return state.value if state else None


@shared_task(name="vip.sweep_tickets")
def sweep_tickets() -> None:
    """Serve the tickets whose task was lost."""
    sweep("sweep_tickets", lost_tickets, serve_ticket)


@shared_task(name="vip.release_orders")
def release_orders() -> None:
    """Release the orders that were not paid in time."""
    sweep("release_orders", lambda: zip(unpaid_orders()), release_order)


@shared_task(name="vip.purge_orders")
def purge_released() -> int:
    """Delete orders and tickets that `purge_orders` selects, and return how many rows were deleted."""
    count = 0
    with only_one("purge_orders") as turn:
        while turn.goes_on() and (gone := purge_orders()):
            count += gone
    return count


@shared_task(name="vip.expire_levels")
def expire_levels() -> int:
    """Delete the memberships that have expired, and return how many."""
    count = 0
    with only_one("expire_levels") as turn:
        while turn.goes_on() and (expired := expire_memberships()):
            count += len(expired)
    return count
