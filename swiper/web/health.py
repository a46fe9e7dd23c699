"""Checks whether the database and Redis answer."""

import logging
from collections.abc import Callable

from swiper.extensions import db, redis
from swiper.web import queries

log = logging.getLogger(__name__)


def check_parts() -> dict[str, bool]:
    """By part, `database` and `redis`: True if it answers. A part that does not answer is logged."""
    return {"database": _answers("database", _ask_database), "redis": _answers("redis", _ask_redis)}


def _ask_database() -> None:
    queries.ask_database()
    # The connection goes back to its pool.
    db.session.rollback()


def _ask_redis() -> None:
    redis.client.ping()


def _answers(name: str, ask: Callable[[], None]) -> bool:
    try:
        ask()
    except Exception as error:
        log.warning("%s does not answer: %s", name, type(error).__name__)
        return False
    return True
