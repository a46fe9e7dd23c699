"""Whether the parts that the service needs answer right now."""

import logging

from sqlalchemy import text

from swiper.extensions import db, redis

log = logging.getLogger(__name__)


def check_parts() -> dict[str, bool]:
    """By part: does it answer? One that does not is logged."""
    return {"database": _answers("database", _ask_database), "redis": _answers("redis", _ask_redis)}


def _ask_database() -> None:
    db.session.execute(text("SELECT 1"))
    db.session.rollback()


def _ask_redis() -> None:
    redis.client.ping()


def _answers(name: str, ask) -> bool:  # type: ignore[no-untyped-def]
    try:
        ask()
    except Exception as error:
        log.warning("%s does not answer: %s", name, type(error).__name__)
        return False
    return True
