"""The desk is open in one session for `DESK_SESSION_HOURS` after its operator gave a second factor.

A key in Redis beside the session says so. It is not stored in the session, since a request under way could write that
back after a logout everywhere. Its value is the fingerprint of the second factor that opened the desk: once that factor
is reset, the desk is closed in every session.
"""

from swiper.admin import second_factor
from swiper.encryption import keyed_digest
from swiper.extensions import redis, this_app


def open_desk(uid: int, sid: str) -> None:
    """Open the desk in the session `sid`."""
    seconds = int(this_app().config["DESK_SESSION_HOURS"] * 3600)
    redis.client.set(_key(uid, sid), second_factor.fingerprint_of(uid), ex=seconds)


def is_open(uid: int, sid: str) -> bool:
    """True while the desk is open in the session `sid`."""
    opened_by = redis.client.get(_key(uid, sid))
    return opened_by is not None and opened_by == second_factor.fingerprint_of(uid).encode()


def close_desk(uid: int, sid: str) -> None:
    """Close the desk in the session `sid`."""
    redis.client.delete(_key(uid, sid))


def _key(uid: int, sid: str) -> str:
    return f"{{u:{uid}}}:desk:{keyed_digest('desk', sid)[:32]}"
