"""Server-side sessions in Redis, and which of them belong to whom.

A session id begins with its user's id, which is no secret: so Redis keeps a session beside all else of its user, and
one command reads it together with what the request will need next. The id comes in a cookie or, from native apps, as
`Authorization: Bearer`, and then a cookie of the same request counts for nothing.
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

from swiper.auth.devices import shorten_address
from swiper.cache import values
from swiper.cache.calls import leave_alone
from swiper.extensions import redis, this_app, this_g
from swiper.http.hooks import bearer_token
from swiper.outages import is_redis_away, is_redis_outage
from swiper.profiles.profiles import account_key

log = logging.getLogger(__name__)

# The user's id and 256 random bits.
SESSION_ID = re.compile(r"([1-9][0-9]{0,18})\.([A-Za-z0-9_-]{43})")
# Below these a session is looked up, and answers are kept by nobody; nothing else knows its caller.
BEARER_PATHS = ("/api/",)
PERSONAL_PATHS = (*BEARER_PATHS, "/admin")
# By path: the key of what a view reads of its caller, for `taken_along`.
READ_ALONG: dict[str, Callable[[int], str]] = {}
# How often a session that is used notes so.
SEEN_SECONDS = 3600
# KEYS: session, list of the user's sessions. ARGV: packed session, lifetime in seconds, session id, this moment, how
# many sessions a user may have. Returns the oldest ones that are too many.
STORE = """
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], 0, ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[4] + ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return redis.call('ZRANGE', KEYS[2], 0, -1 - tonumber(ARGV[5]))
"""
# KEYS: session. ARGV: packed session as it was read, and as it shall be. One that has ended or changed meanwhile stays.
REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
"""
# What the interface's own serializer writes; its decoder would try pickle on anything else.
_decode = msgspec.msgpack.Decoder(dict[str, Any]).decode
_encode = msgspec.msgpack.Encoder().encode


class Session(ServerSideSession):  # type: ignore[misc]
    """A session; the id of one with `is_bearer` never travels in a cookie."""

    is_bearer = False


class UnreachableSession(Session):
    """Stands in while Redis is away; the login hook answers 1011 when it meets one."""


class SessionInterface(RedisSessionInterface):  # type: ignore[misc]
    """Flask-Session's Redis interface, which lets requests that need no login live without Redis."""

    session_class = Session

    def __init__(self, app: Flask, **options: Any) -> None:
        super().__init__(app, **options)
        self.cookie = re.compile(rf"(?:^|;) *{re.escape(app.config['SESSION_COOKIE_NAME'])}=([^; ]*)")

    def open_session(self, app: Flask, request: Request) -> Session:
        """The stored session; an UnreachableSession where Redis does not answer."""
        token = bearer_token(request.environ)
        session = self._find(self._sent_id(request, token), request)
        if token is not None:
            session.is_bearer = True
        return session

    def _sent_id(self, request: Request, token: str | None) -> str:
        """The id that a request brings for what it asks for; empty where there is none."""
        environ = request.environ
        if "HTTP_AUTHORIZATION" in environ:
            # The operator's desk is pages, and browsers alone have those.
            return token if token and request.path.startswith(BEARER_PATHS) else ""
        # Werkzeug would look through all headers, and then read all cookies.
        sent = self.cookie.search(environ.get("HTTP_COOKIE", ""))
        return sent[1] if sent and request.path.startswith(PERSONAL_PATHS) else ""

    def _find(self, sent: str, request: Request) -> Session:
        known = SESSION_ID.fullmatch(sent)
        if not known:
            return self._stranger()
        try:
            stored = self._read(int(known[1]), sent, READ_ALONG.get(request.path))
        except RedisError as error:
            if not is_redis_outage(error):
                raise
            log.warning("sessions are away: %s", type(error).__name__)
            if values.is_in_redis() and is_redis_away(error):
                # The same Redis: a request that is refused in the end should not wait for it again and again.
                leave_alone()
            return UnreachableSession(sid="", permanent=self.permanent)
        found = unpack(stored)
        if stored is None or found is None:
            return self._stranger()
        moment = int(time.time())
        if moment - found.get("seen_at", 0) >= SEEN_SECONDS:
            found |= {"seen_at": moment, "network": shorten_address(request.remote_addr or "")}
            _replace(key_of(sent), stored, found)
        return Session(found, sid=sent)

    def _stranger(self) -> Session:
        # `start_session` gives an id to those that will be stored.
        return Session(sid="", permanent=self.permanent)

    def _read(self, uid: int, session_id: str, also: Callable[[int], str] | None) -> bytes | None:
        """The stored session; the Account goes to `values.prefetch`, and what `also` names to `taken_along`."""
        name = account_key(uid)
        account = values.shared_key(name)
        keys = [key_of(session_id), *([account] if account else []), *([also(uid)] if also else [])]
        stored, *rest = self.client.execute_command("MGET", *keys)
        if account and (found := rest.pop(0)):
            values.prefetch(name, found)
        if also and stored is not None:
            this_g().taken_along = rest
        return cast(bytes | None, stored)

    def _get_store_id(self, session_id: str) -> str:
        return key_of(session_id)

    def _delete_session(self, store_id: str) -> None:
        """Nothing: `end_session` has removed it, and an answer that says so must not fail after that."""

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        """Store a changed session; a request that failed before it had one has nothing to store."""
        if session is None:
            return
        if session.accessed:
            response.headers.add("Vary", "Authorization, Cookie")
        if not session.modified or session.is_bearer:
            return
        if session:
            others = response.headers.getlist("Set-Cookie")
            response.headers.remove("Set-Cookie")
            super().save_session(app, session, response)
            # Simple clients look at the first cookie of a login alone.
            for other in others:
                response.headers.add("Set-Cookie", other)
        else:
            # What was stored is gone already. A browser takes a `__Host-` cookie, or its end, with Secure alone.
            response.delete_cookie(self.get_cookie_name(app), secure=self.get_cookie_secure(app), httponly=True)

    def _upsert_session(self, session_lifetime: timedelta, session: ServerSideSession, store_id: str) -> None:
        """Nothing: `start_session` has stored it before the answer, which may then say that the login succeeded."""


def init_app(app: Flask) -> None:
    """Put the interface onto the application."""
    app.session_interface = SessionInterface(app, client=app.extensions["redis"], key_prefix="", permanent=True)


def new_session_id(uid: int) -> str:
    """An id that nobody can guess for a session of `uid`."""
    return f"{uid}.{secrets.token_urlsafe(32)}"


def key_of(session_id: str) -> str:
    """Where Redis keeps the session `session_id`."""
    uid, _, token = session_id.partition(".")
    return f"{{u:{uid}}}:session:{token}"


def taken_along() -> list[bytes | None] | None:
    """What was read together with the session for a path of `READ_ALONG`, once; None where it was not read."""
    found: list[bytes | None] | None = this_g().pop("taken_along", None)
    return found


def list_key(uid: int) -> str:
    """Return the Redis key of the list of a user's session ids."""
    return f"{{u:{uid}}}:sessions"


def new_session(uid: int, device: str = "", remote_addr: str = "") -> dict[str, Any]:
    """What is stored of a session that begins now; `device` is what its owner will know it by."""
    moment = int(time.time())
    network = shorten_address(remote_addr)
    return {"uid": uid, "made_at": moment, "seen_at": moment, "device": device, "network": network}


def start_session(session: Any, uid: int, device: str = "", remote_addr: str = "") -> None:
    """Log `uid` in: new session id, nothing taken over from before.

    Stored and listed among the user's own in one step, so no logout everywhere comes in between. Where that fails it
    raises, and the answer brings no cookie, since `session` has not changed.
    """
    former, former_uid, fresh = session.sid, session.get("uid"), new_session_id(uid)
    content = new_session(uid, device, remote_addr)
    _store(content, fresh)
    if former_uid:
        delete_sessions(former_uid, [former])
    session.clear()
    session.update(content)
    session.sid = fresh


def _store(content: dict[str, Any], session_id: str) -> None:
    config, uid = this_app().config, content["uid"]
    seconds = int(this_app().permanent_session_lifetime.total_seconds())
    values = (_encode(content), seconds, session_id, time.time(), config["SESSIONS_PER_USER"])
    oldest = redis.client.eval(STORE, 2, key_of(session_id), list_key(uid), *values)
    # After a change of SESSION_DAYS the newest need not be the last.
    delete_sessions(uid, [one for one in map(bytes.decode, oldest) if one != session_id])


def delete_sessions(uid: int, session_ids: list[str]) -> None:
    """Remove all of these sessions or none."""
    if session_ids:
        with redis.client.pipeline(transaction=True) as pipe:
            pipe.delete(*[key_of(session_id) for session_id in session_ids])
            pipe.zrem(list_key(uid), *session_ids)
            pipe.execute()


def unpack(stored: bytes | None) -> dict[str, Any] | None:
    """A stored session; None where it is gone or unreadable."""
    try:
        return None if stored is None else _decode(stored)
    except msgspec.DecodeError:
        log.warning("a stored session is unreadable")
        return None


def _replace(key: str, stored: bytes, found: dict[str, Any]) -> None:
    """Write back a session that was read as `stored`. Where Redis fails, the request goes on without it."""
    try:
        redis.client.eval(REPLACE, 1, key, stored, _encode(found))
    except RedisError as error:
        if not is_redis_outage(error):
            raise
        log.warning("the use of a session is not noted: %s", type(error).__name__)
