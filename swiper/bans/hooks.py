"""Refuses requests from banned addresses, before the login is looked at."""

import ipaddress
import time

from swiper.bans import queries
from swiper.bans.addresses import Address, Network, parse_address
from swiper.cache.values import get_or_load_shared
from swiper.clock import now
from swiper.errors import BannedError
from swiper.extensions import db, this_app, this_request

CACHE_KEY = "bans"
CACHE_SECONDS = 60


class BanList:
    """All bans, arranged so that a check takes one look-up for each prefix length. Each process has one."""

    def __init__(self, rows: list[tuple[str, float | None]]) -> None:
        self.rows = rows
        self.expiry: dict[tuple[int, int, int], float | None] = {}
        for text, expires_at in rows:
            network = ipaddress.ip_network(text)
            self.expiry[_key(network)] = expires_at
        self.lengths = sorted({(version, length) for version, length, _ in self.expiry})

    def has(self, address: Address) -> bool:
        """Return True if a ban that has not expired covers `address`."""
        for version, length in self.lengths:
            if version != address.version:
                continue
            shift = address.max_prefixlen - length
            found = self.expiry.get((version, length, int(address) >> shift << shift), 0.0)
            if found is None or found > time.time():
                return True
        return False


def _key(network: Network) -> tuple[int, int, int]:
    return network.version, network.prefixlen, int(network.network_address)


def refuse_banned() -> None:
    """Refuse a banned address, except for the health checks of a load balancer. Raises BannedError."""
    own = this_request()
    if own.path not in ("/healthz", "/readyz") and is_banned(own.remote_addr or ""):
        raise BannedError()
    db.give_back_connection()


def is_banned(remote_addr: str) -> bool:
    """Return True if a ban covers the client's address.

    A change by another process is seen after `LOCAL_REFRESH_SECONDS` at most.
    """
    address = parse_address(remote_addr)
    return address is not None and _current_list().has(address)


def _current_list() -> BanList:
    rows = get_or_load_shared(CACHE_KEY, _load, CACHE_SECONDS, list[tuple[str, float | None]])
    app = this_app()
    known: BanList | None = app.extensions.get("ban_list")
    if known is not None and known.rows is rows:
        return known
    if known is not None and known.rows == rows:
        known.rows = rows
    else:
        known = app.extensions["ban_list"] = BanList(rows)
    return known


def _load() -> list[tuple[str, float | None]]:
    return [(network, end.timestamp() if end else None) for network, end in queries.active_networks(now())]
