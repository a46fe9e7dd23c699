"""The address of Redis: one server, the Sentinels that know the master, or nodes of a cluster.

No error shows a part of the URL that may be a password.
"""

import re
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

# TLS is in the scheme: to Redis, and with `sentinels` to the Sentinels as well.
SCHEMES = ("redis", "rediss", "sentinel", "sentinels", "unix")
URL = re.compile(
    r"(?P<scheme>redis|rediss|sentinel|sentinels)://"
    r"(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?"
    r"(?P<hosts>[^@/?#]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?"
)
HOST = re.compile(r"(?P<name>[\w.-]+|\[[0-9a-fA-F:.]+\])(?::(?P<port>[0-9]+))?")
PORTS = {"redis": 6379, "rediss": 6379, "sentinel": 26379, "sentinels": 26379}
MASTER, CLUSTER = "master", "cluster"
SENTINEL_USER, SENTINEL_PASSWORD = "sentinel_user", "sentinel_password"


class RedisKind(StrEnum):
    """What a URL names."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class RedisAddress(NamedTuple):
    """What a URL by network says. `rest` has the options of its query that are redis-py's own, such as for TLS."""

    kind: RedisKind
    hosts: tuple[tuple[str, int], ...]
    user: str | None
    password: str | None
    has_tls: bool
    database: int
    master: str
    sentinel_user: str | None
    sentinel_password: str | None
    rest: dict[str, str]

    @property
    def as_one(self) -> str:
        """Return the URL of the first host alone, without user and password, as redis-py and Celery read it."""
        (name, port), query = self.hosts[0], f"?{urlencode(self.rest)}" if self.rest else ""
        host = f"[{name}]" if ":" in name else name
        return f"redis{'s' if self.has_tls else ''}://{host}:{port}/{self.database}{query}"


def kind_of(url: str) -> RedisKind:
    """Return what a URL names. It need not be valid."""
    if url.startswith(("sentinel://", "sentinels://")):
        return RedisKind.SENTINEL
    query = dict(parse_qsl(url.partition("?")[2]))
    return RedisKind.CLUSTER if CLUSTER in query and url.startswith(("redis://", "rediss://")) else RedisKind.SERVER


def read_redis_url(url: str) -> RedisAddress:
    """Return the parts of a URL by network. Raises ValueError, which says what is wrong with it."""
    found = URL.fullmatch(url)
    if found is None:
        raise ValueError("must be a URL such as redis://host:6379/0; write @ in a password as %40, / as %2F, : as %3A")
    if ";" in f"{found['hosts']}{found['path']}":
        raise ValueError("hosts stand in one URL, such as sentinel://a:26379,b:26379/0?master=mymaster")
    scheme = found["scheme"]
    hosts = tuple(_read_host(host, PORTS[scheme]) for host in found["hosts"].split(","))
    # redis-py would take the database 0 for any other path.
    if not re.fullmatch(r"(?:/[0-9]*)?", found["path"] or ""):
        raise ValueError("must end in the number of a database, such as /0")
    query = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
    address = RedisAddress(
        kind=kind_of(url),
        hosts=hosts,
        user=unquote(found["user"] or "") or None,
        password=unquote(found["password"] or "") or None,
        has_tls=scheme in ("rediss", "sentinels"),
        database=int((found["path"] or "").removeprefix("/") or 0),
        master=query.pop(MASTER, ""),
        sentinel_user=query.pop(SENTINEL_USER, None),
        sentinel_password=query.pop(SENTINEL_PASSWORD, None),
        rest={name: value for name, value in query.items() if name != CLUSTER},
    )
    _check_kind(address, query.get(CLUSTER))
    return address


def _read_host(text: str, default_port: int) -> tuple[str, int]:
    found = HOST.fullmatch(text)
    if not text or text.startswith(":"):
        raise ValueError("must have a host")
    port = int(found["port"][:9]) if found and found["port"] else default_port
    if found is None or not 0 < port <= 65535:
        # A host of other characters ends at a colon, too.
        raise ValueError("the port must be a number from 1 to 65535")
    return found["name"].strip("[]"), port


def _check_kind(address: RedisAddress, cluster: str | None) -> None:
    if cluster is not None and (cluster.lower() != "true" or address.kind is RedisKind.SENTINEL):
        raise ValueError("cluster must be true, and stands after redis:// or rediss:// alone")
    if address.kind is RedisKind.SENTINEL:
        if not address.master:
            raise ValueError("must name the master as the Sentinels do, such as ?master=mymaster")
    elif address.master or address.sentinel_user or address.sentinel_password:
        raise ValueError("a master is named after sentinel:// or sentinels:// alone")
    if address.kind is RedisKind.CLUSTER and address.database:
        raise ValueError("a cluster has the database 0 alone")
    if address.kind is RedisKind.SERVER and len(address.hosts) > 1:
        raise ValueError(
            "several hosts are a cluster (redis://a,b?cluster=true) or Sentinels (sentinel://a,b?master=…)"
        )
