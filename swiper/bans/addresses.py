"""Reads addresses and networks of clients."""

import functools
import ipaddress
import re

from swiper.errors import ParamError

# `203.0.113.9:443`, `[2001:db8::1]` and `[2001:db8::1]:443`, as some proxies forward them.
WITH_PORT = re.compile(r"([0-9.]+):[0-9]+|\[([^\]]+)\](?::[0-9]+)?", re.ASCII)

# Each IPv6 subscriber has at least a network of this length (RFC 6177).
SUBSCRIBER_LENGTH = 64

# All IPv4 clients of an IPv6-only host (NAT64) have addresses in this network.
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _ipv4_inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address in a mapped IPv6 address, or in one with the prefix of translators (RFC 6052)."""
    if address in TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped


def parse_network(text: str) -> Network:
    """Parse an address or network that an operator typed. Raises ParamError for a text that is neither.

    IPv4 that is mapped into IPv6 is returned as IPv4. An IPv6 address without a length means its /64, since one
    subscriber has all of it and can use a new address for each request. For a single address, write /128.
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
    """Return the address of a client, without a port. Return None for a text without one, as behind a unix socket.

    IPv4 that is mapped into IPv6 is returned as IPv4.
    """
    found = WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((found[1] or found[2]) if found else text)
    except ValueError:
        return None
    mapped = _ipv4_inside(address) if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def client_network(remote_addr: str) -> str:
    """Return the key by which budgets are counted: an IPv4 address, or the /64 of an IPv6 subscriber.

    All texts that are no address get the same key, so that nobody gets a new budget by sending another text.
    """
    address = parse_address(remote_addr)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, SUBSCRIBER_LENGTH), strict=False))
    return str(address or "")
