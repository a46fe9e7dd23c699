"""The desk is open in one session for `DESK_SESSION_HOURS` after its operator gave a second factor.

What says so is no part of the session: a request under way could write it back after a logout everywhere. It names the
second factor that opened the desk, so a desk closes once that factor is forgotten, in every session.
"""

from swiper.auth.phones import keyed_digest
from swiper.desk import second_factor
from swiper.extensions import redis, this_app


def open_desk(uid: int, sid: str) -> None:
    """Open the desk in the session `sid`."""
    seconds = int(this_app().config["DESK_SESSION_HOURS"] * 3600)
    redis.client.set(_key(uid, sid), second_factor.mark_of(uid), ex=seconds)


def is_open(uid: int, sid: str) -> bool:
    """True while the desk is open in the session `sid`."""
    opened_by = redis.client.get(_key(uid, sid))
    return opened_by is not None and opened_by == second_factor.mark_of(uid).encode()


def close_desk(uid: int, sid: str) -> None:
    """Close the desk in the session `sid`."""
    redis.client.delete(_key(uid, sid))


def _key(uid: int, sid: str) -> str:
    return f"{{u:{uid}}}:desk:{keyed_digest('desk', sid)[:32]}"
