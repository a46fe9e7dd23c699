"""Which cached values are out of date: each change notes that in the database, and every process reads the notes.

A cache may refuse to drop a value, or come back from a restart with one that it had dropped. So the transaction that
changes what is cached adds a row here. While the row stands nobody uses what is cached: it is read from the database
and not stored. Each process looks at the rows at most once in `LOCAL_REFRESH_SECONDS`, when it is asked.
"""

import contextvars
import logging
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import gevent
from flask import Flask
from gevent.monkey import is_module_patched
from sqlalchemy import BigInteger, Index, String, delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from swiper.clock import now
from swiper.db.transactions import after_commit, is_in_transaction, quick_lane, transactional
from swiper.db.types import UtcDateTime
from swiper.extensions import TABLE_OPTIONS, Model, db, this_app
from swiper.fastpath.postgres_statements import Statement
from swiper.ids import new_id

log = logging.getLogger(__name__)

# The `uid` of what is cached once for all users.
SHARED = 0
# With more rows than this a process trusts nothing that is cached, instead of reading them all each second.
MOST = 10_000
# Redis may come back without its last writes: those of a second or two, or what a replica had not yet received.
SETTLE_SECONDS = 10.0
# Longer than a transaction takes between adding its row and its commit.
COMMIT_SECONDS = 120
# How long a request waits for the rows. A database that takes longer is away, and the request may need its time.
WAIT_SECONDS = 0.3
# A database that was away is asked again after this time at the earliest.
AWAY_SECONDS = 1.0
# What one sweep takes at most; the next one takes the rest.
BATCH = 500

# Whose value, and its name.
Item = tuple[int, str]


class Invalidation(Model):
    """A cached value that a transaction has changed; the row is gone once the cache has surely dropped the old one."""

    __tablename__ = "invalidations"
    __table_args__ = (Index(None, "created_at"), TABLE_OPTIONS)

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


PENDING = Statement("SELECT uid, name FROM invalidations WHERE created_at > $1 LIMIT $2", int, str)


class Known:
    """What one process knows: the rows it has read, and its own changes since."""

    def __init__(self) -> None:
        # None stands for everything.
        self.items: frozenset[Item] | None = frozenset()
        # When this process has committed the change.
        self.own: dict[Item, float] = {}
        self.looked_at = self.due_at = 0.0
        self.lock = threading.Lock()
        self.looking: gevent.Greenlet[..., None] | None = None
        self.is_away = False

    def has(self, item: Item) -> bool:
        """True where the value must not be used."""
        return item in self.own or self.items is None or item in self.items

    def learn(self, items: Iterable[Item], started: float, seconds: float) -> None:
        """Take over the rows as they were at `started`, for `seconds`."""
        found = frozenset(items)
        self.items = found if len(found) <= MOST else None
        self.own = {item: moment for item, moment in self.own.items() if moment >= started}
        self.looked_at, self.due_at, self.is_away = started, started + seconds, False


def is_pending(uid: int, name: str) -> bool:
    """True while the value `name` of a user, or of all (`SHARED`), must be read from the database and not be stored."""
    known = _known(this_app())
    if time.monotonic() >= known.due_at:
        _look(this_app(), known)
    return known.has((uid, name))


def looked_at() -> float:
    """When this process has read the rows, on the monotonic clock."""
    return _known(this_app()).looked_at


def _known(app: Flask) -> Known:
    known: Known | None = app.extensions.get("pending")
    if known is None:
        known = app.extensions["pending"] = Known()
    return known


def _look(app: Flask, known: Known) -> None:
    """Read the rows. A gevent worker reads them once for all requests that wait, none of which waits for long."""
    if not is_module_patched("socket"):
        _look_in_thread(app, known)
        return
    if known.looking is None:
        known.looking = gevent.spawn(contextvars.Context().run, _read, app, known)
    if not known.is_away:
        known.looking.join(WAIT_SECONDS)


def _look_in_thread(app: Flask, known: Known) -> None:
    if not known.lock.acquire(timeout=WAIT_SECONDS):
        return
    try:
        if time.monotonic() >= known.due_at:
            if is_in_transaction():
                # Many threads that each hold a connection and wait for a second one would wait for each other.
                started = time.monotonic()
                known.learn(_stored(_oldest(app)), started, app.config["LOCAL_REFRESH_SECONDS"])
            else:
                contextvars.Context().run(_read, app, known)
    finally:
        known.lock.release()


def _read(app: Flask, known: Known) -> None:
    started = time.monotonic()
    seconds: float = app.config["LOCAL_REFRESH_SECONDS"]
    try:
        # A session of its own: that of a request may hold a snapshot of the past.
        with app.app_context():
            known.learn(_stored(_oldest(app)), started, seconds)
    except SQLAlchemyError as error:
        if not known.is_away:
            log.warning("what is out of date in the cache cannot be read: %s", type(error).__name__)
        known.is_away, known.due_at = True, time.monotonic() + max(seconds, AWAY_SECONDS)
    finally:
        known.looking = None


def _oldest(app: Flask) -> datetime:
    """What was changed before this moment is no longer found in the cache as it was before: it has run out there."""
    longest = max(
        300, *(app.config[name] for name in ("USER_CACHE_SECONDS", "LEVELS_PAGE_SECONDS", "HOT_PAGE_SECONDS"))
    )
    return now() - timedelta(seconds=longest + COMMIT_SECONDS)


def _stored(since: datetime) -> list[Any]:
    lane = quick_lane()
    if lane is not None:
        (rows,) = lane.read((PENDING, [since, MOST + 1]))
        return rows
    query = select(Invalidation.uid, Invalidation.name).where(Invalidation.created_at > since).limit(MOST + 1)
    return [(uid, name) for uid, name in db.session.execute(query)]


def add(uid: int, *names: str) -> None:
    """Note in the running transaction that it changes cached values of a user, or of all (`SHARED`)."""
    for name in names:
        db.session.add(Invalidation(uid=uid, id=new_id(), name=name))
    after_commit(lambda: _remember(uid, names))


def _remember(uid: int, names: Iterable[str]) -> None:
    """Let this process know at once."""
    own = _known(this_app()).own
    for name in names:
        own[uid, name] = time.monotonic()


def settled() -> list[tuple[int, str, datetime]]:
    """Values whose rows have stood for `SETTLE_SECONDS`, each with the latest moment up to which that holds."""
    limit = now() - timedelta(seconds=SETTLE_SECONDS)
    query = select(Invalidation.uid, Invalidation.name).where(Invalidation.created_at <= limit)
    rows = db.session.execute(query.order_by(Invalidation.created_at).limit(BATCH)).all()
    db.session.rollback()
    return [(uid, name, limit) for uid, name in dict.fromkeys((row.uid, row.name) for row in rows)]


@transactional
def drop(uid: int, name: str, limit: datetime) -> None:
    """Remove the rows of a value up to `limit`: the cache has dropped it since."""
    db.session.execute(
        delete(Invalidation).where(Invalidation.uid == uid, Invalidation.name == name, Invalidation.created_at <= limit)
    )
