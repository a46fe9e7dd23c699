"""An operator's second factor unlocks the desk in one session for `DESK_SESSION_HOURS`.

A key in Redis for the operator and the session holds a digest of the second factor that was used. When that factor is
reset, the desk is locked in all sessions. The session itself does not hold this: a request that is still running could
write the session back after a logout everywhere.
"""

from typing import cast

from swiper.admin import second_factor
from swiper.encryption import keyed_digests
from swiper.extensions import redis, this_app


def unlock(uid: int, session_id: str) -> None:
    """Unlock the desk for the operator in this session."""
    seconds = int(this_app().config["DESK_SESSION_HOURS"] * 3600)
    redis.client.set(_keys(uid, session_id)[0], second_factor.digests_of(uid)[0], ex=seconds)


def is_unlocked(uid: int, session_id: str) -> bool:
    """True while the desk is unlocked for the operator in this session."""
    found = cast(list[bytes | None], redis.client.mget(_keys(uid, session_id)))
    unlocked_by = [digest.decode() for digest in found if digest is not None]
    return bool(unlocked_by) and not set(unlocked_by).isdisjoint(second_factor.digests_of(uid))


def lock(uid: int, session_id: str) -> None:
    """Lock the desk for the operator in this session."""
    redis.client.delete(*_keys(uid, session_id))


def _keys(uid: int, session_id: str) -> list[str]:
    return [redis.key(f"{{u:{uid}}}:desk:{digest[:32]}") for digest in keyed_digests("desk", session_id)]
