"""Adding, lifting and looking up IP bans."""

import functools
import ipaddress
import re
import time
from datetime import datetime

from sqlalchemy import ColumnElement, delete, or_, select

from swiper.bans.models import IpBan
from swiper.cache.invalidations import invalidate_shared_after_commit
from swiper.cache.values import get_or_load_shared
from swiper.clock import now
from swiper.db.transactions import transactional
from swiper.db.upsert import upsert
from swiper.errors import ParamError
from swiper.extensions import db, this_app

CACHE_KEY = "bans"
CACHE_SECONDS = 60
# `203.0.113.9:443`, `[2001:db8::1]` and `[2001:db8::1]:443`, as some proxies forward them.
WITH_PORT = re.compile(r"([0-9.]+):[0-9]+|\[([^\]]+)\](?::[0-9]+)?", re.ASCII)

# What one IPv6 subscriber has to themself, at least (RFC 6177).
SUBSCRIBER_LENGTH = 64

# Where an IPv6-only host has IPv4 clients (NAT64), all of them come from this network.
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class BanList:
    """All bans in the form that one look-up per prefix length needs; each process keeps one."""

    def __init__(self, rows: list[tuple[str, float | None]]) -> None:
        self.rows = rows
        self.expiry: dict[tuple[int, int, int], float | None] = {}
        for text, expires_at in rows:
            network = ipaddress.ip_network(text)
            self.expiry[_key(network)] = expires_at
        self.lengths = sorted({(version, length) for version, length, _ in self.expiry})

    def has(self, address: Address) -> bool:
        """True while a ban that has not run out covers `address`."""
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


def _ipv4_inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that is mapped into IPv6, or that a translator has put behind the prefix of RFC 6052."""
    if address in TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped


def parse_network(text: str) -> Network:
    """An address or network as typed by an operator. Raises ParamError; IPv4 mapped into IPv6 is told as IPv4.

    An IPv6 address without a length stands for its /64: one subscriber has all of that, and a new address for each
    request. Whoever means one address alone writes /128.
    """
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise ParamError(f"{text!r} is neither an address nor a network") from error
    if "%" in text:
        raise ParamError(f"{text!r} names an interface of this machine, which no ban can")
    if isinstance(network, ipaddress.IPv6Network):
        mapped = _ipv4_inside(network.network_address)
        if mapped and network.prefixlen >= 96:
            return ipaddress.ip_network((mapped, network.prefixlen - 96))
        if "/" not in text:
            return network.supernet(new_prefix=SUBSCRIBER_LENGTH)
    return network


@functools.lru_cache(maxsize=10_000)
def parse_address(text: str) -> Address | None:
    """The client's address, with IPv4 mapped into IPv6 told as IPv4; None for a unix socket's empty peer.

    A port that came with it is left out: a client may have a new one for each request.
    """
    found = WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((found[1] or found[2]) if found else text)
    except ValueError:
        return None
    mapped = _ipv4_inside(address) if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def client_network(remote_addr: str) -> str:
    """What budgets per address are counted by: an IPv4 address, or the /64 that one IPv6 subscriber has to themself.

    Whatever is no address shares one budget, so that nobody gets a fresh one by writing something else.
    """
    address = parse_address(remote_addr)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, SUBSCRIBER_LENGTH), strict=False))
    return str(address or "")


@transactional
def ban_network(text: str, reason: str = "", expires_at: datetime | None = None) -> str:
    """Ban an address or network until `expires_at`, or for good; banning again replaces reason and expiry."""
    network = str(parse_network(text))
    row = {"network": network, "reason": reason[:200], "expires_at": expires_at, "created_at": now()}
    upsert(
        IpBan,
        [row],
        ["network"],
        lambda _, new: {"reason": new.reason, "expires_at": new.expires_at, "created_at": new.created_at},
    )
    invalidate_shared_after_commit(CACHE_KEY)
    return network


@transactional
def unban_network(text: str) -> bool:
    """Lift a ban; False when there was none for exactly this network."""
    found = db.session.get(IpBan, str(parse_network(text)))
    if found is None:
        return False
    db.session.delete(found)
    invalidate_shared_after_commit(CACHE_KEY)
    return True


def list_bans() -> list[IpBan]:
    """Every ban that has not run out."""
    return list(db.session.scalars(select(IpBan).where(_is_active()).order_by(IpBan.network)))


def is_banned(remote_addr: str) -> bool:
    """True when a ban covers the client's address; other processes' changes are seen after `LOCAL_REFRESH_SECONDS`."""
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
    rows = db.session.execute(select(IpBan.network, IpBan.expires_at).where(_is_active())).all()
    return [(network, expires_at.timestamp() if expires_at else None) for network, expires_at in rows]


@transactional
def purge_bans() -> None:
    """Delete the bans that have run out; what is cached of them counts for nothing by itself."""
    db.session.execute(delete(IpBan).where(IpBan.expires_at <= now()))


def _is_active() -> ColumnElement[bool]:
    return or_(IpBan.expires_at.is_(None), IpBan.expires_at > now())
