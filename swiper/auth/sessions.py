"""Server-side sessions in Redis, and which of them belong to whom.

A session id begins with its user's id, which is no secret: so Redis keeps a session beside all else of its user, and
one command reads it together with what the request will need next.
"""

import logging
import re
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import msgspec
from flask import Flask, Request
from flask_session.base import ServerSideSession
from flask_session.redis.redis import RedisSessionInterface
from redis.exceptions import RedisError

from swiper import memo
from swiper.auth.profiles import account_key
from swiper.extensions import redis, this_app, this_g
from swiper.outages import is_redis_away, is_redis_outage

log = logging.getLogger(__name__)

# The user's id and 256 random bits.
SID = re.compile(r"([1-9][0-9]{0,18})\.([A-Za-z0-9_-]{43})")
# Below these a session is looked up, and answers are kept by nobody; nothing else knows its caller.
PERSONAL_PATHS = ("/api/", "/admin")
# By path: the key of what a view reads of its caller, for `taken_along`.
READ_ALONG: dict[str, Callable[[int], str]] = {}
# KEYS: session, list of the user's sessions. ARGV: packed session, lifetime in seconds, session id, this moment.
STORE = """
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], 0, ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[4] + ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 0
"""
# What the interface's own serializer writes; its decoder would try pickle on anything else.
_decode = msgspec.msgpack.Decoder(dict[str, Any]).decode
_encode = msgspec.msgpack.Encoder().encode


class UnreachableSession(ServerSideSession):
    """Stands in while Redis is away; the login hook answers 1011 when it meets one."""


class SessionInterface(RedisSessionInterface):
    """Flask-Session's Redis interface, which lets requests that need no login live without Redis."""

    def __init__(self, app: Flask, **options: Any) -> None:
        super().__init__(app, **options)
        self.cookie = re.compile(rf"(?:^|;) *{re.escape(app.config['SESSION_COOKIE_NAME'])}=([^; ]*)")

    def open_session(self, app: Flask, request: Request) -> ServerSideSession:
        """The stored session; an UnreachableSession where Redis does not answer."""
        # Werkzeug would look through all headers, and then read all cookies.
        sent = self.cookie.search(request.environ.get("HTTP_COOKIE", ""))
        known = SID.fullmatch(sent[1]) if sent else None
        if not known or not request.path.startswith(PERSONAL_PATHS):
            return self._stranger()
        try:
            stored = self._read(int(known[1]), known[0], READ_ALONG.get(request.path))
        except RedisError as error:
            if not is_redis_outage(error):
                raise
            log.warning("sessions are away: %s", type(error).__name__)
            if memo.is_in_redis() and is_redis_away(error):
                # The same Redis: a request that is refused in the end should not wait for it again and again.
                memo.leave_alone()
            return UnreachableSession(sid="", permanent=self.permanent)
        if stored is None:
            return self._stranger()
        try:
            return self.session_class(_decode(stored), sid=known[0])
        except msgspec.DecodeError:
            log.warning("a stored session is unreadable")
            return self._stranger()

    def _stranger(self) -> ServerSideSession:
        # `start_session` gives an id to those that will be stored.
        return self.session_class(sid="", permanent=self.permanent)

    def _read(self, uid: int, sid: str, also: Callable[[int], str] | None) -> bytes | None:
        """The stored session; the Account goes to `memo`, and what `also` names to `taken_along`."""
        name = account_key(uid)
        account = memo.shared_key(name)
        keys = [key_of(sid), *([account] if account else []), *([also(uid)] if also else [])]
        stored, *rest = self.client.execute_command("MGET", *keys)
        if account and (found := rest.pop(0)):
            memo.offer(name, found)
        if also and stored is not None:
            this_g().taken_along = rest
        return cast(bytes | None, stored)

    def _get_store_id(self, sid: str) -> str:
        return key_of(sid)

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        """Store a changed session; a request that failed before it had one has nothing to store."""
        if session is None:
            return
        if not session.modified:
            if session.accessed:
                response.headers.add("Vary", "Cookie")
            return
        super().save_session(app, session, response)

    def _upsert_session(self, session_lifetime: timedelta, session: ServerSideSession, store_id: str) -> None:
        """Nothing: `start_session` has stored it, and an answer that cannot keep what it says is none of ours."""


def init_app(app: Flask) -> None:
    """Put the interface onto the application."""
    app.session_interface = SessionInterface(app, client=app.extensions["redis"], key_prefix="", permanent=True)


def new_sid(uid: int) -> str:
    """An id that nobody can guess for a session of `uid`."""
    return f"{uid}.{secrets.token_urlsafe(32)}"


def key_of(sid: str) -> str:
    """Where Redis keeps the session `sid`."""
    uid, _, token = sid.partition(".")
    return f"{{u:{uid}}}:session:{token}"


def taken_along() -> list[bytes | None] | None:
    """What was read together with the session for a path of `READ_ALONG`, once; None where it was not read."""
    found: list[bytes | None] | None = this_g().pop("taken_along", None)
    return found


def _index(uid: int) -> str:
    return f"{{u:{uid}}}:sessions"


def start_session(session: Any, uid: int) -> None:
    """Log `uid` in: new session id, nothing taken over from before.

    Stored and listed among the user's own in one step, so no logout everywhere comes in between. Where that fails it
    raises, and the answer brings no cookie, since `session` has not changed.
    """
    former, former_uid, fresh = session.sid, session.get("uid"), new_sid(uid)
    _store({"uid": uid}, fresh)
    if former_uid:
        redis.client.zrem(_index(former_uid), former)
        redis.client.delete(key_of(former))
    session.clear()
    session["uid"] = uid
    session.sid = fresh


def _store(content: dict[str, Any], sid: str) -> None:
    seconds, uid = int(this_app().permanent_session_lifetime.total_seconds()), content["uid"]
    redis.client.eval(STORE, 2, key_of(sid), _index(uid), _encode(content), seconds, sid, time.time())


def end_session(session: Any, uid: int) -> None:
    """Log out: the stored session is gone before the answer is sent."""
    redis.client.delete(key_of(session.sid))
    redis.client.zrem(_index(uid), session.sid)
    session.clear()


def end_all_sessions(uid: int) -> None:
    """Log a user out everywhere."""
    sids = redis.client.zrange(_index(uid), 0, -1)
    if sids:
        redis.client.delete(*[key_of(sid.decode()) for sid in cast(list[bytes], sids)])
        redis.client.zrem(_index(uid), *cast(list[bytes], sids))


def count_sessions(uid: int) -> int:
    """How many sessions a user has open."""
    return int(redis.client.zcount(_index(uid), time.time(), "+inf"))
