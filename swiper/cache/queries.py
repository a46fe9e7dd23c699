"""Statements about cached values that are out of date."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select

from swiper.cache.models import Invalidation
from swiper.db.statements import Statement, read
from swiper.extensions import db
from swiper.ids import new_id

PENDING = Statement(
    "SELECT uid, name FROM invalidations WHERE created_at > :since LIMIT :count",
    *(int, str),
    everywhere="Each process learns what is out of date, of anybody.",
)


def pending_items(since: datetime, count: int) -> list[Any]:
    """Return user id and name of at most `count` values that were changed after `since`."""
    (rows,) = read((PENDING, {"since": since, "count": count}))
    return rows


def add_invalidations(uid: int, names: Iterable[str]) -> None:
    """Add a row for each of the values `names` of a user, or of all users (`SHARED`)."""
    db.session.add_all([Invalidation(uid=uid, id=new_id(), name=name) for name in names])


def invalidations_until(limit: datetime, count: int) -> list[tuple[int, str]]:
    """Return user id and name of the oldest `count` rows up to `limit`."""
    query = select(Invalidation.uid, Invalidation.name).where(Invalidation.created_at <= limit)
    query = query.order_by(Invalidation.created_at).limit(count)
    rows = db.session.execute(query.execution_options(everywhere="The sweep looks for values of anybody."))
    return [(uid, name) for uid, name in rows]


def delete_invalidations(uid: int, name: str, limit: datetime) -> None:
    """Delete the rows of a value up to `limit`."""
    db.session.execute(
        delete(Invalidation).where(Invalidation.uid == uid, Invalidation.name == name, Invalidation.created_at <= limit)
    )
