"""Several hosts of one PostgreSQL in a URL. Each of the three usual spellings is turned into one form."""

import re
from itertools import zip_longest
from urllib.parse import parse_qsl, quote, urlencode

# As SQLAlchemy reads it, which takes most characters of a password as they are.
PARTS = re.compile(
    r"(?P<scheme>[\w+.-]+://)(?P<user>[^:/]*(?::[^@]*)?@)?(?P<hosts>[^/?]*)(?P<name>/[^?]*)?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
HOST_AND_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>.*))?", re.DOTALL)
# What libpq knows.
SESSION_KINDS = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
WRITABLE_KINDS = ("read-write", "primary")

# A name, an address or the folder of a socket, and a port, which may be empty.
Host = tuple[str, str]


def with_listed_hosts(url: str) -> str:
    """Return the URL of a PostgreSQL with its hosts as `?host=a,b&port=1,2`, which libpq and SQLAlchemy understand.

    The other spellings are `a:1,b:2` before the name of the database, which is libpq's own, and `?host=a:1&host=b:2`.
    A URL with one host, as most are written, and one that cannot be read are returned as they are.
    """
    parts = PARTS.fullmatch(url)
    hosts = hosts_of(url)
    is_usual = len(hosts) < 2 and not (parts and "host" in dict(_query_of(parts)) and any(port for _, port in hosts))
    if parts is None or is_usual:
        return url
    others = [(name, value) for name, value in _query_of(parts) if name not in ("host", "port")]
    listed = [("host", ",".join(host for host, _ in hosts))]
    if any(port for _, port in hosts):
        listed.append(("port", ",".join(port for _, port in hosts)))
    query = urlencode(listed + others, safe=",/:", quote_via=quote)
    return f"{parts['scheme']}{parts['user'] or ''}{parts['name'] or ''}?{query}"


def hosts_of(url: str) -> list[Host]:
    """Return the hosts that the URL of a PostgreSQL names, without brackets around IPv6 addresses."""
    parts = PARTS.fullmatch(url)
    if parts is None:
        return []
    query = _query_of(parts)
    texts = [text for name, value in query if name == "host" for text in value.split(",")]
    ports = [text for name, value in query if name == "port" for text in value.split(",")]
    if not texts:
        texts = parts["hosts"].split(",") if parts["hosts"] else []
    if ports:
        return list(zip_longest([text.strip("[]") for text in texts], ports, fillvalue=""))
    return [_split(text) for text in texts]


def find_host_fault(url: str) -> str | None:
    """Return what is wrong with the hosts of a PostgreSQL's URL, if it names several, or with the kind of session."""
    parts = PARTS.fullmatch(url)
    hosts = hosts_of(url)
    if parts is None:
        return None
    kinds = [value for name, value in _query_of(parts) if name == "target_session_attrs"]
    if any(kind not in SESSION_KINDS for kind in kinds):
        return f"target_session_attrs must be one of {', '.join(SESSION_KINDS)}"
    if len(hosts) < 2:
        return None
    if any(not host for host, _ in hosts):
        return "one of the hosts is empty, or there are more ports than hosts"
    if any(port and not (port.isascii() and port.isdecimal() and 1 <= int(port[:9]) <= 65535) for _, port in hosts):
        return "the port must be a number from 1 to 65535"
    return None


def may_take_standby(url: str) -> bool:
    """Return True if the URL of a PostgreSQL names several hosts and does not say that writes must be possible."""
    parts = PARTS.fullmatch(url)
    if parts is None or len(hosts_of(url)) < 2:
        return False
    return dict(_query_of(parts)).get("target_session_attrs") not in WRITABLE_KINDS


def _query_of(parts: re.Match[str]) -> list[tuple[str, str]]:
    return parse_qsl(parts["query"] or "", keep_blank_values=True)


def _split(text: str) -> Host:
    found = HOST_AND_PORT.fullmatch(text)
    # The folder of a socket may have any character.
    if found is None or text.startswith("/"):
        return text, ""
    return found["host"].strip("[]"), found["port"] or ""
