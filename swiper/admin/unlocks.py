"""An operator's second factor unlocks the desk in one session for `DESK_SESSION_HOURS`.

A key in Redis for the operator and the session holds a digest of the second factor that was used. When that factor is
reset, the desk is locked in all sessions. The session itself does not hold this: a request that is still running could
write the session back after a logout everywhere.
"""

from swiper.admin import second_factor
from swiper.encryption import keyed_digest
from swiper.extensions import redis, this_app


def unlock(uid: int, session_id: str) -> None:
    """Unlock the desk for the operator in this session."""
    seconds = int(this_app().config["DESK_SESSION_HOURS"] * 3600)
    redis.client.set(_key(uid, session_id), second_factor.digest_of(uid), ex=seconds)


def is_unlocked(uid: int, session_id: str) -> bool:
    """True while the desk is unlocked for the operator in this session."""
    unlocked_by = redis.client.get(_key(uid, session_id))
    return unlocked_by is not None and unlocked_by == second_factor.digest_of(uid).encode()


def lock(uid: int, session_id: str) -> None:
    """Lock the desk for the operator in this session."""
    redis.client.delete(_key(uid, session_id))


def _key(uid: int, session_id: str) -> str:
    return f"{{u:{uid}}}:desk:{keyed_digest('desk', session_id)[:32]}"
