"""Exports: everything that the service stores about a user, as a stream of JSON.

Rows are read in pages, and the worker serves other requests between two pages. So an export needs little memory and
delays nobody, however many rows there are.
"""

import errno
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from flask import current_app

from swiper.errors import RateLimitedError
from swiper.extensions import redis
from swiper.http.responses import explain
from swiper.http.serialization import compile_schema
from swiper.profiles.export_schemas import ExportOut
from swiper.profiles.queries.exports import owned_rows
from swiper.signals import account_exporting
from swiper.tasks.queue import GIVE_BACK, RENEW

# A process that has sent no page for this time is taken for dead, and another export may begin. Each page renews the
# lease.
LEASE_SECONDS = 60
# KEYS: lease. ARGV: token, ms. Returns 0, or ms to wait. Safe to repeat after a lost answer.
TAKE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) or redis.call('GET', KEYS[1]) == ARGV[1] then return 0 end
return redis.call('PTTL', KEYS[1])"""

_encode = msgspec.json.Encoder().encode
_dumps: dict[str, Callable[[Any], Any]] = {
    name: compile_schema(field.inner.schema)
    for name, field in ExportOut().dump_fields.items()
    if hasattr(field, "inner")
}


class _Lease:
    """The one export that an account may have within `EXPORT_SECONDS`."""

    def __init__(self, uid: int) -> None:
        """Take the lease. Raises RateLimitedError while somebody else has it."""
        # Stored here, since a stream whose reader closes the connection may end outside the application's context.
        self.redis, self.seconds = redis.client, current_app.config["EXPORT_SECONDS"]
        self.key, self.token = redis.key(f"{{u:{uid}}}:export"), secrets.token_hex(8)
        wait_ms = self._run(TAKE, LEASE_SECONDS)
        if wait_ms:
            raise RateLimitedError(wait_ms / 1000)

    def _run(self, script: str, seconds: int) -> int:
        return int(self.redis.eval(script, 1, self.key, self.token, seconds * 1000))

    def renew(self) -> None:
        """Hold the lease for another page."""
        self._run(RENEW, LEASE_SECONDS)

    def use_up(self) -> None:
        """The export was sent, or its reader has closed the connection: the next may begin after `EXPORT_SECONDS`."""
        self._run(RENEW, self.seconds)

    def give_back(self) -> None:
        """The export has failed: another may begin at once."""
        self._run(GIVE_BACK, 0)


def begin_export(uid: int) -> Iterator[bytes]:
    """The response in pieces. The first one is read at once, so that a failure there becomes an error response.

    Raises RateLimitedError if the account's last export is less than `EXPORT_SECONDS` ago.
    """
    lease = _Lease(uid)
    try:
        pieces = _pieces(_parts_of(uid))
        first = next(pieces) + next(pieces)
    except BaseException:
        lease.give_back()
        raise
    return _stream(lease, first, pieces)


def _stream(lease: _Lease, first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield first
        for piece in pieces:
            lease.renew()
            # In a gevent worker the other greenlets run here.
            time.sleep(0)
            yield piece
    except GeneratorExit:
        lease.use_up()
        raise
    except Exception as error:
        explain(error)
        lease.give_back()
        # The connection is closed before the JSON ends, so no client takes the response for complete.
        raise ConnectionResetError(errno.ECONNRESET, "an export has ended early") from error
    lease.use_up()


def _parts_of(uid: int) -> dict[str, Any]:
    """Pages of rows or plain values by the name in `ExportOut`; higher layers add theirs on `account_exporting`."""
    parts: dict[str, Any] = dict(owned_rows(uid))
    for _, part in account_exporting.send(None, uid=uid):
        parts |= part
    return parts


def _pieces(parts: dict[str, Any]) -> Iterator[bytes]:
    """The envelope around `parts`, a page in each piece."""
    opening = b'{"code":0,"data":{'
    for name, part in parts.items():
        start, opening = opening + _encode(name) + b":", b","
        if not isinstance(part, Iterator):
            yield start + _encode(part)
            continue
        yield start + b"["
        separator = b""
        for page in part:
            yield separator + _encode([_dumps[name](row) for row in page])[1:-1]
            separator = b","
        yield b"]"
    yield b"}}\n"
