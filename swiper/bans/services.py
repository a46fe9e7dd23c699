"""Adds, lifts and lists IP bans."""

from datetime import datetime

from swiper.bans import queries
from swiper.bans.addresses import parse_network
from swiper.bans.hooks import CACHE_KEY
from swiper.bans.models import IpBan
from swiper.cache.invalidations import invalidate_shared_after_commit
from swiper.clock import now
from swiper.db.transactions import transactional


@transactional
def ban_network(text: str, reason: str = "", expires_at: datetime | None = None) -> str:
    """Ban an address or network until `expires_at`, or for good, and return its canonical form.

    A second ban replaces reason and expiry. Raises ParamError for a text that is no network.
    """
    network = str(parse_network(text))
    queries.store_ban({"network": network, "reason": reason[:200], "expires_at": expires_at, "created_at": now()})
    invalidate_shared_after_commit(CACHE_KEY)
    return network


@transactional
def unban_network(text: str) -> bool:
    """Lift a ban. Return False if exactly this network was not banned. Raises ParamError as `ban_network` does."""
    if not queries.delete_ban(str(parse_network(text))):
        return False
    invalidate_shared_after_commit(CACHE_KEY)
    return True


def list_bans() -> list[IpBan]:
    """Return every ban that has not expired."""
    return queries.active_bans(now())


@transactional
def purge_bans() -> None:
    """Delete the bans that have expired. Cached copies of them have no effect."""
    queries.delete_expired_bans(now())
