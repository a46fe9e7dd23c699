"""Exports: everything that the service holds on a user, as a stream of JSON.

Rows are read in pages along their primary key, and other requests have their turn between two of them: an export costs
little memory and holds nobody up, however much there is.
"""

import errno
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from flask import current_app
from sqlalchemy import select, tuple_

from swiper.auth.models import Operator, Preferences, ProfileChange, Upload, User
from swiper.auth.schemas import ExportOut
from swiper.auth.session_list import list_sessions
from swiper.blueprints import compile_schema
from swiper.errors import RateLimitedError
from swiper.extensions import db, redis
from swiper.responses import explain
from swiper.signals import account_exporting
from swiper.vip.models import Membership, Order, PaidPeriod, Ticket
from swiper.vip.quotas import Quota

PAGE_ROWS = 500
# An export that has said nothing for so long is dead, and another may begin. Each page renews it.
LEASE_SECONDS = 60
# KEYS: turn. ARGV: token, ms. TAKE returns 0, or ms to wait. All may be sent again after a lost answer.
TAKE = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) or redis.call('GET', KEYS[1]) == ARGV[1] then return 0 end
return redis.call('PTTL', KEYS[1])"""
KEEP = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
GIVE_BACK = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 0"

_encode = msgspec.json.Encoder().encode
_dumps: dict[str, Callable[[Any], Any]] = {
    name: compile_schema(field.inner.schema)
    for name, field in ExportOut().dump_fields.items()
    if hasattr(field, "inner")
}


class _Turn:
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

    def go_on(self) -> None:
        """Another page is told."""
        self._run(KEEP, LEASE_SECONDS)

    def use_up(self) -> None:
        """What was asked for has been told, or nobody listens any more."""
        self._run(KEEP, self.seconds)

    def give_back(self) -> None:
        """Nothing was told that anybody could use."""
        self._run(GIVE_BACK, 0)


def begin_export(uid: int) -> Iterator[bytes]:
    """The whole answer in pieces; the first is read at once, so that what fails from the start is told as an error.

    Raises RateLimitedError while the account's last export is less than `EXPORT_SECONDS` ago.
    """
    turn = _Turn(uid)
    try:
        pieces = _pieces(_parts_of(uid))
        first = next(pieces) + next(pieces)
    except BaseException:
        turn.give_back()
        raise
    return _told(turn, first, pieces)


def _told(turn: _Turn, first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield first
        for piece in pieces:
            turn.go_on()
            # In a gevent worker the others come to run here.
            time.sleep(0)
            yield piece
    except GeneratorExit:
        turn.use_up()
        raise
    except Exception as error:
        explain(error)
        turn.give_back()
        # The connection is closed in the middle of the answer, which so cannot be taken for a whole one.
        raise ConnectionResetError(errno.ECONNRESET, "an export has ended early") from error
    turn.use_up()


def _parts_of(uid: int) -> dict[str, Any]:
    """By the name in `ExportOut`: pages of rows, or plain values; higher layers add theirs on `account_exporting`."""
    sessions = list_sessions(uid)
    parts: dict[str, Any] = {
        "account": rows_of(select(User).where(User.id == uid)),
        "preferences": rows_of(select(Preferences).where(Preferences.uid == uid)),
        "profile_changes": rows_of(select(ProfileChange).where(ProfileChange.uid == uid)),
        "uploads": rows_of(select(Upload).where(Upload.uid == uid)),
        "membership": rows_of(select(Membership).where(Membership.uid == uid)),
        "paid_periods": rows_of(select(PaidPeriod).where(PaidPeriod.uid == uid)),
        "orders": rows_of(select(Order).where(Order.uid == uid)),
        "tickets": rows_of(select(Ticket).where(Ticket.uid == uid)),
        "quotas": rows_of(select(Quota).where(Quota.uid == uid)),
        "operator": rows_of(select(Operator).where(Operator.uid == uid)),
        "open_sessions": len(sessions),
        "sessions": iter([[{name: _plain(value) for name, value in one.items()} for one in sessions]]),
    }
    for _, part in account_exporting.send(None, uid=uid):
        parts |= part
    return parts


def rows_of(query: Any) -> Iterator[list[dict[str, Any]]]:
    """Pages of the rows that a `select` of one model finds, as dictionaries that JSON can carry."""
    table = query.column_descriptions[0]["entity"].__table__
    key = list(table.primary_key.columns)
    query = select(table).where(query.whereclause).order_by(*key).limit(PAGE_ROWS)
    last: list[Any] | None = None
    while True:
        page = query if last is None else query.where(tuple_(*key) > tuple_(*last))
        rows = db.session.execute(page).mappings().all()
        # The connection is free until the next page is asked for.
        db.session.rollback()
        if rows:
            yield [{column.key: _plain(row[column]) for column in table.columns} for row in rows]
        if len(rows) < PAGE_ROWS:
            return
        last = [rows[-1][column] for column in key]


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
