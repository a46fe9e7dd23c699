"""Server-side sessions in Redis, and which of them belong to whom."""

import logging
import time
from typing import Any, cast

from flask import Flask, Request, current_app
from flask_session.base import ServerSideSession
from flask_session.redis.redis import RedisSessionInterface
from redis.exceptions import RedisError

from swiper import memo
from swiper.extensions import redis

log = logging.getLogger(__name__)

PREFIX = "session:"


class UnreachableSession(ServerSideSession):
    """Stands in while Redis is away; the login hook answers 1011 when it meets one."""


class SessionInterface(RedisSessionInterface):
    """Flask-Session's Redis interface, which lets requests that need no login live without Redis."""

    def open_session(self, app: Flask, request: Request) -> ServerSideSession:
        """The stored session; an UnreachableSession where Redis does not answer."""
        if not request.path.startswith("/api/"):
            return self.session_class(sid=self._generate_sid(self.sid_length), permanent=self.permanent)
        try:
            return super().open_session(app, request)
        except RedisError as error:
            log.warning("sessions are away: %s", type(error).__name__)
            if app.config["CACHE_TYPE"] == "RedisCache":
                # The same Redis: a request that is refused in the end should not wait for it again and again.
                memo.leave_alone()
            return UnreachableSession(sid=self._generate_sid(self.sid_length), permanent=self.permanent)

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        """Store a changed session; a request that failed before it had one has nothing to store."""
        if session is None:
            return
        super().save_session(app, session, response)
        if session.modified and session.get("uid"):
            # A logout everywhere that came since `start_session` has crossed it off the list, before it was stored.
            _list_session(session["uid"], session.sid)


def init_app(app: Flask) -> None:
    """Put the interface onto the application; ids have 256 random bits."""
    app.session_interface = SessionInterface(
        app, client=app.extensions["redis"], key_prefix=PREFIX, permanent=True, sid_length=32
    )


def _index(uid: int) -> str:
    return f"{{u:{uid}}}:sessions"


def start_session(session: Any, uid: int) -> None:
    """Log `uid` in: new session id, nothing taken over from before, listed among the user's sessions."""
    if session.get("uid"):
        redis.client.zrem(_index(session["uid"]), session.sid)
    session.clear()
    interface: Any = current_app.session_interface
    # `regenerate` skips an empty session, and the id must change in any case.
    session["uid"] = uid
    interface.regenerate(session)
    _list_session(uid, session.sid)


def _list_session(uid: int, sid: str) -> None:
    """Note a session among the user's own, where a logout everywhere finds it."""
    lifetime = current_app.config["PERMANENT_SESSION_LIFETIME"].total_seconds()
    pipe = redis.client.pipeline()
    pipe.zremrangebyscore(_index(uid), 0, time.time())
    pipe.zadd(_index(uid), {sid: time.time() + lifetime})
    pipe.expire(_index(uid), int(lifetime))
    pipe.execute()


def end_session(session: Any, uid: int) -> None:
    """Log out: the stored session is gone before the answer is sent."""
    redis.client.delete(PREFIX + session.sid)
    redis.client.zrem(_index(uid), session.sid)
    session.clear()


def end_all_sessions(uid: int) -> None:
    """Log a user out everywhere."""
    sids = redis.client.zrange(_index(uid), 0, -1)
    # One key a command: on a cluster they lie in different slots.
    pipe = redis.client.pipeline(transaction=False)
    for sid in cast(list[bytes], sids):
        pipe.delete(PREFIX + sid.decode())
        pipe.zrem(_index(uid), sid)
    pipe.execute()


def count_sessions(uid: int) -> int:
    """How many sessions a user has open."""
    return int(redis.client.zcount(_index(uid), time.time(), "+inf"))
