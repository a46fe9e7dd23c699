"""Reads addresses and networks of clients."""

import functools
import ipaddress
import re

from swiper.errors import ParamError

# `203.0.113.9:443`, `[2001:db8::1]` and `[2001:db8::1]:443`, as some proxies forward them.
WITH_PORT = re.compile(r"([0-9.]+):[0-9]+|\[([^\]]+)\](?::[0-9]+)?", re.ASCII)

# What one IPv6 subscriber has to themself, at least (RFC 6177).
SUBSCRIBER_LENGTH = 64

# Where an IPv6-only host has IPv4 clients (NAT64), all of them come from this network.
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


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
