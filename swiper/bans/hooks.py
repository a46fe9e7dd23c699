"""The hook that refuses banned addresses."""

from swiper.bans.services import is_banned
from swiper.errors import BannedError
from swiper.extensions import db, this_request


def refuse_banned() -> None:
    """Refuse a banned address, health checks excepted: the load balancer asks those. Raises BannedError."""
    own = this_request()
    if own.path not in ("/healthz", "/readyz") and is_banned(own.remote_addr or ""):
        raise BannedError()
    db.give_back_connection()
