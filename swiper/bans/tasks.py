"""Periodic work on bans."""

from celery import shared_task

from swiper.bans.services import purge_bans


@shared_task(name="bans.purge")
def purge() -> None:
    """Delete the bans that have expired."""
    purge_bans()
