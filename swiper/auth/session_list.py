"""The list of somebody's sessions, as its owner sees it: by handles that do not tell the ids."""

from datetime import UTC, datetime
from typing import Any, cast

from swiper.auth.sessions import key_of, listed_ids, unpack
from swiper.encryption import keyed_digest
from swiper.errors import NotFoundError
from swiper.extensions import redis
from swiper.profiles.exports import page_of_dicts
from swiper.signals import account_exporting


def list_sessions(uid: int, current_id: str = "") -> list[dict[str, Any]]:
    """The open sessions of a user, the current one and then the last used first.

    Of sessions that an older release has made some things are not known.
    """
    ids = listed_ids(uid)
    stored = cast(list[bytes | None], redis.client.mget([key_of(one) for one in ids]) if ids else [])
    found = [(one, facts) for one, value in zip(ids, stored, strict=True) if (facts := unpack(value)) is not None]
    found.sort(key=lambda pair: (pair[0] == current_id, pair[1].get("seen_at", 0)), reverse=True)
    return [
        {
            "id": _handle_of(session_id),
            "device": facts.get("device", ""),
            "network": facts.get("network", ""),
            "created_at": _moment(facts.get("made_at")),
            "last_seen_at": _moment(facts.get("seen_at")),
            "is_current": session_id == current_id,
        }
        for session_id, facts in found
    ]


def find_session(uid: int, handle: str) -> str:
    """The id of the session of `uid` that `list_sessions` calls `handle`. Raises NotFoundError."""
    for session_id in listed_ids(uid):
        if _handle_of(session_id) == handle:
            return session_id
    raise NotFoundError()


def _handle_of(session_id: str) -> str:
    return keyed_digest("session", session_id)[:32]


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


@account_exporting.connect
def export_sessions(_sender: Any, *, uid: int) -> dict[str, Any]:
    """The part of an export that sessions are."""
    sessions = list_sessions(uid)
    return {"open_sessions": len(sessions), "sessions": page_of_dicts(sessions)}
