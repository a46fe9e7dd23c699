"""Exports: everything that the service holds on a user, as a stream of JSON.

Rows are read in pages along their primary key, and the worker serves other requests between two pages. So an export
needs little memory and delays nobody, however many rows there are.
"""

import errno
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from flask import current_app
from sqlalchemy import select, tuple_

from swiper.errors import RateLimitedError
from swiper.extensions import db, redis
from swiper.http.blueprints import compile_schema
from swiper.http.responses import explain
from swiper.profiles.export_schemas import ExportOut
from swiper.profiles.models import Operator, Preferences, ProfileChange, Upload, User
from swiper.signals import account_exporting
from swiper.tasks.queue import GIVE_BACK, RENEW
from swiper.vip.models import Membership, Order, PaidPeriod, Quota, Ticket

PAGE_ROWS = 500
# A process that has sent no page for so long is dead, and another export may begin. Each page renews the lease.
LEASE_SECONDS = 60
# KEYS: lease. ARGV: token, ms. Returns 0, or ms to wait. It may be sent again after a lost answer.
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
        """Take it. Raises RateLimitedError."""
        # Kept, since a stream whose reader hangs up may end outside of the application's context.
        self.redis, self.seconds = redis.client, current_app.config["EXPORT_SECONDS"]
        self.key, self.token = f"{{u:{uid}}}:export", secrets.token_hex(8)
        wait_ms = self._run(TAKE, LEASE_SECONDS)
        if wait_ms:
            raise RateLimitedError(wait_ms / 1000)

    def _run(self, script: str, seconds: int) -> int:
        return int(self.redis.eval(script, 1, self.key, self.token, seconds * 1000))

    def renew(self) -> None:
        """Another page is sent."""
        self._run(RENEW, LEASE_SECONDS)

    def use_up(self) -> None:
        """The export was sent, or its reader has hung up: the next one is `EXPORT_SECONDS` away."""
        self._run(RENEW, self.seconds)

    def give_back(self) -> None:
        """The export has failed: another may begin at once."""
        self._run(GIVE_BACK, 0)


def begin_export(uid: int) -> Iterator[bytes]:
    """The whole answer in pieces; the first is read at once, so a failure there becomes an error answer.

    Raises RateLimitedError while the account's last export is less than `EXPORT_SECONDS` ago.
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
        # The connection is closed before the JSON ends, so nobody takes the answer for a whole one.
        raise ConnectionResetError(errno.ECONNRESET, "an export has ended early") from error
    lease.use_up()


def _parts_of(uid: int) -> dict[str, Any]:
    """By the name in `ExportOut`: pages of rows, or plain values; higher layers add theirs on `account_exporting`."""
    parts: dict[str, Any] = {
        "account": rows_of(select(User).where(User.id == uid)),
        "preferences": rows_of(select(Preferences).where(Preferences.uid == uid)),
        "profile_changes": rows_of(select(ProfileChange).where(ProfileChange.uid == uid)),
        "uploads": rows_of(select(Upload).where(Upload.uid == uid)),
        "membership": rows_of(select(Membership).where(Membership.uid == uid)),
        "paid_periods": rows_of(select(PaidPeriod).where(PaidPeriod.uid == uid)),
        "orders": rows_of(
            select(Order)
            .where(Order.uid == uid)
            .execution_options(everywhere="Orders are distributed by their own id.")
        ),
        "tickets": rows_of(select(Ticket).where(Ticket.uid == uid)),
        "quotas": rows_of(select(Quota).where(Quota.uid == uid)),
        "operator": rows_of(select(Operator).where(Operator.uid == uid)),
    }
    for _, part in account_exporting.send(None, uid=uid):
        parts |= part
    return parts


def rows_of(query: Any) -> Iterator[list[dict[str, Any]]]:
    """Pages of the rows that a `select` of one model finds, as dictionaries that JSON can carry."""
    table = query.column_descriptions[0]["entity"].__table__
    key = list(table.primary_key.columns)
    pages = select(table).where(query.whereclause).execution_options(**query.get_execution_options())
    pages = pages.order_by(*key).limit(PAGE_ROWS)
    last: list[Any] | None = None
    while True:
        page = pages if last is None else pages.where(tuple_(*key) > tuple_(*last))
        rows = db.session.execute(page).mappings().all()
        # The connection is free until the next page is asked for.
        db.session.rollback()
        if rows:
            yield [{column.key: _plain(row[column]) for column in table.columns} for row in rows]
        if len(rows) < PAGE_ROWS:
            return
        last = [rows[-1][column] for column in key]


def page_of_dicts(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The one page of rows that are dictionaries already, with values that JSON can carry."""
    yield [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    convert: Callable[[], Any] | None = getattr(value, "isoformat", None)
    return convert() if convert else value


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
