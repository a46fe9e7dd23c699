"""Lists and ends the sessions of a user. The owner sees each by a handle, which does not reveal its id."""

import logging
import time
from datetime import UTC, datetime
from typing import Any, cast

from redis.exceptions import RedisError

from swiper.auth.sessions import delete_sessions, key_of, list_key, unpack
from swiper.cache.invalidations import SESSIONS, remover
from swiper.db.row_pages import page_of_dicts
from swiper.encryption import keyed_digests
from swiper.errors import NotFoundError
from swiper.extensions import redis
from swiper.outages import is_redis_outage
from swiper.signals import account_exporting

log = logging.getLogger(__name__)


def list_sessions(uid: int, current_id: str = "") -> list[dict[str, Any]]:
    """Return the open sessions of a user: the current one, then the others, the last used first.

    A session of an older release lacks some facts.
    """
    ids = listed_ids(uid)
    stored = cast(list[bytes | None], redis.client.mget([key_of(one) for one in ids]) if ids else [])
    found = [(one, facts) for one, value in zip(ids, stored, strict=True) if (facts := unpack(value)) is not None]
    found.sort(key=lambda pair: (pair[0] == current_id, pair[1].get("seen_at", 0)), reverse=True)
    return [
        {
            "id": _handles_of(session_id)[0],
            "device": facts.get("device", ""),
            "network": facts.get("network", ""),
            "created_at": _moment(facts.get("made_at")),
            "last_seen_at": _moment(facts.get("seen_at")),
            "is_current": session_id == current_id,
        }
        for session_id, facts in found
    ]


def find_session(uid: int, handle: str) -> str:
    """Return the id of the session of `uid` that has this `handle` in `list_sessions`. Raises NotFoundError."""
    for session_id in listed_ids(uid):
        if handle in _handles_of(session_id):
            return session_id
    raise NotFoundError()


def _handles_of(session_id: str) -> list[str]:
    return [digest[:32] for digest in keyed_digests("session", session_id)]


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def end_session(session: Any, uid: int) -> None:
    """Log out. The stored session is deleted before the response is sent. Raises RedisError if nothing was changed."""
    delete_sessions(uid, [session.sid])
    session.clear()


def end_all_sessions(uid: int, current: Any = None) -> None:
    """End all sessions of a user, with the `current` session object. Raises RedisError if nothing was changed."""
    delete_sessions(uid, listed_ids(uid) + ([current.sid] if current is not None else []))
    if current is not None:
        current.clear()


def end_session_by_id(uid: int, session_id: str) -> None:
    """End one session of a user. A running request of that session cannot store it again."""
    delete_sessions(uid, [session_id])


def listed_ids(uid: int) -> list[str]:
    """Return the ids of a user's sessions, the oldest first. Expired ones may be among them."""
    return [session_id.decode() for session_id in cast(list[bytes], redis.client.zrange(list_key(uid), 0, -1))]


@remover(SESSIONS)
def try_to_end_all_sessions(uid: int) -> bool:
    """End the sessions of a user who is suspended or deleted. Return False if Redis is not available."""
    try:
        end_all_sessions(uid)
    except RedisError as error:
        if not is_redis_outage(error):
            raise
        log.warning("sessions wait for the sweep: %s", type(error).__name__)
        return False
    return True


def count_sessions(uid: int) -> int:
    """Return the number of a user's open sessions."""
    return int(redis.client.zcount(list_key(uid), time.time(), "+inf"))


@account_exporting.connect
def export_sessions(_sender: Any, *, uid: int) -> dict[str, Any]:
    """Return the sessions of a user for an export."""
    sessions = list_sessions(uid)
    return {"open_sessions": len(sessions), "sessions": page_of_dicts(sessions)}
