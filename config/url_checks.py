"""Checks of addresses: each returns its text, or raises ValueError with what is wrong. No error shows a whole URL.

A URL may have a password. So an error tells its scheme at most.
"""

import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

from config.base import CommaList
from config.database_hosts import find_host_fault
from config.redis_urls import SCHEMES, RedisKind, kind_of, read_redis_url
from config.urls import normal_origin, with_driver

# As SQLAlchemy reads it, which takes most characters of a password as they are.
DATABASE = re.compile(
    r"(?P<scheme>[\w+.-]+)://(?:[^:/]*(?::[^@]*)?@)?(?:(?:\[[^/?]+\]|(?P<host>[^/:?]+))?(?::(?P<port>[^/?]*))?)?"
    r"(?:/(?P<name>[^?]*))?(?:\?.*)?",
    re.DOTALL,
)
SCHEME = re.compile(r"[a-zA-Z][\w+.-]*(?=://)")
SERVERS = ("postgresql+psycopg", "mysql+pymysql")
# Those of Celery whose packages are installed; memcached has a group of its own in `config/extras.py`.
BROKERS = ("redis", "rediss", "redis+socket", "sentinel", "sentinels", "amqp", "amqps", "pyamqp", "memory")
BACKENDS = ("redis", "rediss", "redis+socket", "sentinel", "sentinels", "rpc", "cache+memcached", "file", "disabled")
HOST = re.compile(r"[\w.-]+|\[?[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\]?")
ORIGIN = re.compile(r"https?://(?:[\w.-]+|\[[0-9a-f:.]+\])(?::[0-9]+)?")


def check_database_url(url: str) -> str:
    """Accept the URL of a PostgreSQL, MariaDB or SQLite database."""
    found = DATABASE.fullmatch(with_driver(url))
    if found is None:
        raise ValueError("must be a URL such as postgresql://user:password@host/name")
    if found["scheme"] == "sqlite":
        if found["host"] is not None:
            raise ValueError("a file of SQLite has three slashes before a relative path, four before an absolute one")
    elif found["scheme"] not in SERVERS:
        raise ValueError(f"{found['scheme']}:// is not one of postgresql://, mysql://, mariadb://, sqlite:///")
    elif "@" in (found["host"] or ""):
        raise ValueError("the password has a special character: write @ as %40, / as %2F, : as %3A")
    elif not found["name"]:
        raise ValueError("must end in the name of a database, such as /swiper")
    else:
        _check_several_hosts(with_driver(url), found)
    if found["port"] is not None:
        _check_port(found["port"])
    return url


def _check_several_hosts(url: str, found: re.Match[str]) -> None:
    if found["scheme"] == "postgresql+psycopg":
        if fault := find_host_fault(url):
            raise ValueError(fault)
    elif "," in (found["host"] or ""):
        raise ValueError("several hosts are for PostgreSQL alone")


def check_redis_url(url: str) -> str:
    """Accept the URL of a Redis by network or by unix socket, of Sentinels, or of a cluster."""
    parts = _split(url, SCHEMES)
    if parts.scheme != "unix":
        read_redis_url(url)
    elif not parts.path:
        raise ValueError("must have the path of a socket, such as unix:///run/redis.sock")
    return url


def check_broker_url(url: str) -> str:
    """Accept the URL of a broker that Celery can use here."""
    parts = _check_celery_url(url, BROKERS)
    if parts.scheme in ("amqp", "amqps", "pyamqp"):
        _check_server(parts)
    return url


def check_backend_url(url: str) -> str:
    """Accept the URL of a store for the results of Celery's tasks."""
    if url.startswith("db+"):
        # Any database of SQLAlchemy for which there is a driver.
        if not DATABASE.fullmatch(url):
            raise ValueError("must be a URL such as db+postgresql+psycopg://user:password@host/name")
        return url
    _check_celery_url(url, BACKENDS)
    return url


def _check_celery_url(url: str, schemes: tuple[str, ...]) -> SplitResult:
    # Further servers follow after a semicolon.
    parts = _split(url.partition(";")[0], schemes)
    if kind_of(url) is RedisKind.CLUSTER:
        raise ValueError("Celery cannot use a Redis Cluster: name RabbitMQ (amqp://…), Sentinels or one Redis")
    if parts.scheme in ("sentinel", "sentinels"):
        read_redis_url(url)
    elif parts.scheme in ("redis", "rediss"):
        _check_server(parts)
    return parts


def check_page(url: str) -> str:
    """Accept the address of a page or an API, without a space."""
    _check_server(_split(url, ("https", "http")))
    if re.search(r"\s", url):
        raise ValueError("must not have a space")
    return url


def check_host(host: str) -> str:
    """Accept the name or address of a machine, without a scheme and without a port."""
    if not HOST.fullmatch(host):
        raise ValueError("must be the name or address of a machine, without http:// and without a port")
    return host


def check_host_and_port(address: str) -> str:
    """Accept a machine with or without a port."""
    host, mark, port = address.rpartition(":")
    if not HOST.fullmatch(host if mark and not address.endswith("]") else address):
        raise ValueError("must be a host, or host:port")
    if mark and re.fullmatch(r"[\w.-]+|\[.*\]", host):
        _check_port(port)
    return address


def check_upload_host(host: str) -> str:
    """Accept a machine with or without a port and http:// or https://."""
    return check_page(host) if "://" in host else check_host_and_port(host)


def check_origins(origins: list[str]) -> list[str]:
    """Accept origins, and write each as browsers send it: `https://app.example` for `https://App.example:443/`."""
    normal = [normal_origin(origin.rstrip("/")) for origin in origins]
    for number, origin in enumerate(normal, 1):
        if not ORIGIN.fullmatch(origin):
            raise ValueError(f"entry {number} must be an origin such as https://app.example.com, without a path")
        _check_port(urlsplit(origin).netloc.rpartition(":")[2] if re.search(r":[0-9]+$", origin) else "1")
    return normal


def _split(url: str, schemes: tuple[str, ...]) -> SplitResult:
    names = ", ".join(f"{scheme}://" for scheme in schemes)
    scheme = SCHEME.match(url)
    if scheme is None:
        raise ValueError(f"must begin with one of {names}")
    if scheme[0] not in schemes:
        raise ValueError(f"{scheme[0]}:// is not one of {names}")
    try:
        return urlsplit(url)
    except ValueError:
        # Its text may have parts of the URL.
        raise ValueError(f"must be a valid URL that begins with {names}") from None


def _check_server(parts: SplitResult) -> None:
    if not parts.hostname:
        raise ValueError("must have a host")
    try:
        number = parts.port
    except ValueError:
        number = 0
    if number == 0:
        raise ValueError("the port must be a number from 1 to 65535")


def _check_port(port: str) -> None:
    if not (port.isascii() and port.isdecimal() and 1 <= int(port[:9]) <= 65535):
        raise ValueError("the port must be a number from 1 to 65535")


def _if_set(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda value: check(value) if value else value)


def _each(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda values: [check(value) for value in values])


DatabaseUrl = Annotated[str, _if_set(check_database_url)]
DatabaseUrls = Annotated[CommaList, _each(check_database_url)]
RedisUrl = Annotated[str, _if_set(check_redis_url)]
BrokerUrl = Annotated[str, _if_set(check_broker_url)]
BackendUrl = Annotated[str, _if_set(check_backend_url)]
PageUrl = Annotated[str, _if_set(check_page)]
Host = Annotated[str, AfterValidator(check_host)]
HostAndPort = Annotated[str, AfterValidator(check_host_and_port)]
HostsAndPorts = Annotated[CommaList, _each(check_host_and_port)]
UploadHost = Annotated[str, _if_set(check_upload_host)]
Origins = Annotated[CommaList, AfterValidator(check_origins)]
