"""Server-side sessions in Redis: opened by each request, started by a login. `session_list` ends them.

A session id begins with the user's id, which is not secret. So Redis stores a session in the same slot as the other
values of its user, and one command reads it together with what the request needs next. The id comes in a cookie, or
from native apps as `Authorization: Bearer`. With that header, the cookie of the same request is ignored.
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
from swiper.profiles.profiles import account_key, prefetch_account

log = logging.getLogger(__name__)

# The user's id and 256 random bits.
SESSION_ID = re.compile(r"([1-9][0-9]{0,18})\.([A-Za-z0-9_-]{43})")
# Only requests under these paths have a session, and no cache may store their responses.
BEARER_PATHS = ("/api/",)
PERSONAL_PATHS = (*BEARER_PATHS, "/admin")
# By path: the function that makes the key of what the view reads of its caller, for `taken_along`.
READ_ALONG: dict[str, Callable[[int], str]] = {}
# A session that is in use records the time of its last use at most this often.
SEEN_SECONDS = 3600
# KEYS: session, list of the user's sessions. ARGV: packed session, lifetime in seconds, session id, this moment, how
# many sessions a user may have. Returns the ids of the oldest sessions above that number.
STORE = """
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], 0, ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[4] + ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return redis.call('ZRANGE', KEYS[2], 0, -1 - tonumber(ARGV[5]))
"""
# KEYS: session. ARGV: packed session as it was read, and the new one. Replaces only a session that has not changed.
REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
"""
# The format of Flask-Session's own serializer, whose decoder would try pickle for other bytes.
_decode = msgspec.msgpack.Decoder(dict[str, Any]).decode
_encode = msgspec.msgpack.Encoder().encode


class Session(ServerSideSession):  # type: ignore[misc]
    """A session. The id of a session with `is_bearer` is never sent in a cookie."""

    is_bearer = False


class UnreachableSession(Session):
    """The session of a request while Redis is not available. The login hook answers it with error 1011."""


class SessionInterface(RedisSessionInterface):  # type: ignore[misc]
    """Flask-Session's Redis interface, except that requests without login work while Redis is not available."""

    session_class = Session

    def __init__(self, app: Flask, **options: Any) -> None:
        super().__init__(app, **options)
        self.cookie = re.compile(rf"(?:^|;) *{re.escape(app.config['SESSION_COOKIE_NAME'])}=([^; ]*)")

    def open_session(self, app: Flask, request: Request) -> Session:
        """Return the stored session, or an UnreachableSession if Redis does not answer."""
        token = bearer_token(request.environ)
        session = self._find(self._sent_id(request, token), request)
        if token is not None:
            session.is_bearer = True
        return session

    def _sent_id(self, request: Request, token: str | None) -> str:
        """Return the session id that a request sends, or an empty text if none counts for its path."""
        environ = request.environ
        if "HTTP_AUTHORIZATION" in environ:
            # The admin pages are for browsers, which send cookies.
            return token if token and request.path.startswith(BEARER_PATHS) else ""
        # Werkzeug would search all headers and parse all cookies.
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
                # The cache is in the same Redis, and this request must not wait for it again.
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
        # `start_session` sets the id when the session is stored.
        return Session(sid="", permanent=self.permanent)

    def _read(self, uid: int, session_id: str, also: Callable[[int], str] | None) -> bytes | None:
        """Return the stored session. The Account goes to `prefetch_account`, the value of `also` to `taken_along`."""
        name = account_key(uid)
        account = values.shared_key(name)
        keys = [key_of(session_id), *([account] if account else []), *([also(uid)] if also else [])]
        stored, *rest = self.client.execute_command("MGET", *keys)
        if account and (found := rest.pop(0)):
            prefetch_account(name, found)
        if also and stored is not None:
            this_g().taken_along = rest
        return cast(bytes | None, stored)

    def _get_store_id(self, session_id: str) -> str:
        return key_of(session_id)

    def _delete_session(self, store_id: str) -> None:
        """Do nothing, since `end_session` has deleted it before. The response must not fail after that."""

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        """Send the cookie of a changed session. `session` is None for a request that failed before it was opened."""
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
            # Simple clients only read the first cookie of a login.
            for other in others:
                response.headers.add("Set-Cookie", other)
        else:
            # The stored session is deleted already. Browsers accept a `__Host-` cookie, or its end, only with Secure.
            response.delete_cookie(self.get_cookie_name(app), secure=self.get_cookie_secure(app), httponly=True)

    def _upsert_session(self, session_lifetime: timedelta, session: ServerSideSession, store_id: str) -> None:
        """Do nothing, since `start_session` has stored it. So a response that reports a login is always true."""


def init_app(app: Flask) -> None:
    """Set the session interface of the application."""
    app.session_interface = SessionInterface(app, client=app.extensions["redis"], key_prefix="", permanent=True)


def new_session_id(uid: int) -> str:
    """Return an id for a session of `uid` that nobody can guess."""
    return f"{uid}.{secrets.token_urlsafe(32)}"


def key_of(session_id: str) -> str:
    """Return the Redis key of a session."""
    uid, _, token = session_id.partition(".")
    return redis.key(f"{{u:{uid}}}:session:{token}")


def taken_along() -> list[bytes | None] | None:
    """Return, only once, what was read together with the session for a path of `READ_ALONG`; None if nothing was."""
    found: list[bytes | None] | None = this_g().pop("taken_along", None)
    return found


def list_key(uid: int) -> str:
    """Return the Redis key of the list of a user's session ids."""
    return redis.key(f"{{u:{uid}}}:sessions")


def new_session(uid: int, device: str = "", remote_addr: str = "") -> dict[str, Any]:
    """Return the content of a session that begins now. `device` is the description for its owner."""
    moment = int(time.time())
    network = shorten_address(remote_addr)
    return {"uid": uid, "made_at": moment, "seen_at": moment, "device": device, "network": network}


def start_session(session: Any, uid: int, device: str = "", remote_addr: str = "") -> None:
    """Log `uid` in with a new session id, and without the content of the previous session.

    One script stores the session and adds it to the user's list, so that a logout everywhere never misses it.
    Raises RedisError; then `session` is unchanged, and the response sets no cookie.
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
    # After SESSION_DAYS was reduced, the newest session may be among those that end first.
    delete_sessions(uid, [one for one in map(bytes.decode, oldest) if one != session_id])


def delete_sessions(uid: int, session_ids: list[str]) -> None:
    """Delete all of these sessions of a user, or none if it raises RedisError."""
    if session_ids:
        with redis.client.pipeline(transaction=True) as pipe:
            pipe.delete(*[key_of(session_id) for session_id in session_ids])
            pipe.zrem(list_key(uid), *session_ids)
            pipe.execute()


def unpack(stored: bytes | None) -> dict[str, Any] | None:
    """Return the content of a stored session, or None if it is missing or unreadable."""
    try:
        return None if stored is None else _decode(stored)
    except msgspec.DecodeError:
        log.warning("a stored session is unreadable")
        return None


def _replace(key: str, stored: bytes, found: dict[str, Any]) -> None:
    """Replace a session that was read as `stored`. If Redis is not available, the session stays as it was."""
    try:
        redis.client.eval(REPLACE, 1, key, stored, _encode(found))
    except RedisError as error:
        if not is_redis_outage(error):
            raise
        log.warning("the use of a session is not noted: %s", type(error).__name__)
