"""Records in the database which cached values are out of date. Every process reads these rows.

A cache may fail to delete a value, or restart with a value that it had deleted. So the transaction that changes a
cached value adds a row here. While the row exists, no process uses the cached value: the value is read from the
database and is not stored. Each process reads the rows at most once in `LOCAL_REFRESH_SECONDS`, when it needs them.
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
from swiper.db.statements import Statement, read
from swiper.db.transactions import after_commit, is_in_transaction, transactional
from swiper.db.types import UtcDateTime
from swiper.extensions import TABLE_OPTIONS, Model, db, this_app
from swiper.ids import new_id

log = logging.getLogger(__name__)

# The `uid` of values that are cached once for all users.
SHARED = 0
# With more rows than this, a process uses no cached value, and does not read all the rows each second.
MOST = 10_000
# After a restart, Redis may lack the writes of its last second or two, or those that a replica had not received.
SETTLE_SECONDS = 10.0
# A transaction takes less than this between adding its row and its commit.
COMMIT_SECONDS = 120
# A request waits for the rows no longer than this. It may need its time for other things.
WAIT_SECONDS = 0.3
# After a failure, the database is asked again after this time at the earliest.
AWAY_SECONDS = 1.0
# One sweep takes at most this number of rows. The next sweep takes the others.
BATCH = 500

# The user id and the name of a value.
Item = tuple[int, str]


class Invalidation(Model):
    """A cached value that a transaction has changed. The row is deleted when the cache no longer has the old value."""

    __tablename__ = "invalidations"
    __table_args__ = (Index(None, "created_at"), TABLE_OPTIONS)

    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


PENDING = Statement(
    "SELECT uid, name FROM invalidations WHERE created_at > :since LIMIT :count",
    *(int, str),
    everywhere="Each process learns what is out of date, of anybody.",
)


class Known:
    """What one process knows: the rows that it has read, and the changes that it has made since then."""

    def __init__(self) -> None:
        # None means that all values are out of date.
        self.items: frozenset[Item] | None = frozenset()
        # For each value, the time at which this process has changed it, on the monotonic clock.
        self.own: dict[Item, float] = {}
        self.looked_at = self.due_at = 0.0
        self.lock = threading.Lock()
        self.looking: gevent.Greenlet[..., None] | None = None
        self.is_away = False

    def has(self, item: Item) -> bool:
        """Return True if the cached value must not be used."""
        return item in self.own or self.items is None or item in self.items

    def learn(self, items: Iterable[Item], started: float, seconds: float) -> None:
        """Keep the rows that were read at `started`. They are read again after `seconds`."""
        found = frozenset(items)
        self.items = found if len(found) <= MOST else None
        self.own = {item: moment for item, moment in self.own.items() if moment >= started}
        self.looked_at, self.due_at, self.is_away = started, started + seconds, False


def is_pending(uid: int, name: str) -> bool:
    """Return True while the cached value `name` of a user, or of all users (`SHARED`), must not be used or stored."""
    known = _known(this_app())
    if time.monotonic() >= known.due_at:
        _look(this_app(), known)
    return known.has((uid, name))


def looked_at() -> float:
    """Return the time at which this process has last read the rows, on the monotonic clock."""
    return _known(this_app()).looked_at


def _known(app: Flask) -> Known:
    known: Known | None = app.extensions.get("pending")
    if known is None:
        known = app.extensions["pending"] = Known()
    return known


def _look(app: Flask, known: Known) -> None:
    """Read the rows. A gevent worker reads them once for all requests, and each waits WAIT_SECONDS at most."""
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
                # This thread has a connection. If many threads waited for a second one, they would block each other.
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
        # This is a new session, since the session of the request may hold an old snapshot.
        with app.app_context():
            known.learn(_stored(_oldest(app)), started, seconds)
    except SQLAlchemyError as error:
        if not known.is_away:
            log.warning("what is out of date in the cache cannot be read: %s", type(error).__name__)
        known.is_away, known.due_at = True, time.monotonic() + max(seconds, AWAY_SECONDS)
    finally:
        known.looking = None


def _oldest(app: Flask) -> datetime:
    """Return the time before which changes do not matter: the values that were cached before them have expired."""
    longest = max(
        300, *(app.config[name] for name in ("USER_CACHE_SECONDS", "LEVELS_PAGE_SECONDS", "HOT_PAGE_SECONDS"))
    )
    return now() - timedelta(seconds=longest + COMMIT_SECONDS)


def _stored(since: datetime) -> list[Any]:
    (rows,) = read((PENDING, {"since": since, "count": MOST + 1}))
    return rows


def add(uid: int, *names: str) -> None:
    """Record in the running transaction that it changes cached values of a user, or of all users (`SHARED`)."""
    for name in names:
        db.session.add(Invalidation(uid=uid, id=new_id(), name=name))
    after_commit(lambda: _remember(uid, names))


def _remember(uid: int, names: Iterable[str]) -> None:
    """Record the change in this process, so that it stops using the values at once."""
    own = _known(this_app()).own
    for name in names:
        own[uid, name] = time.monotonic()


def settled() -> list[tuple[int, str, datetime]]:
    """Return the user id and name of values whose rows are older than SETTLE_SECONDS, with the time of that limit."""
    limit = now() - timedelta(seconds=SETTLE_SECONDS)
    query = select(Invalidation.uid, Invalidation.name).where(Invalidation.created_at <= limit)
    query = query.order_by(Invalidation.created_at).limit(BATCH)
    rows = db.session.execute(query.execution_options(everywhere="The sweep looks for values of anybody.")).all()
    db.session.rollback()
    return [(uid, name, limit) for uid, name in dict.fromkeys((row.uid, row.name) for row in rows)]


@transactional
def drop(uid: int, name: str, limit: datetime) -> None:
    """Delete the rows of a value up to `limit`. The cache has removed the value since then."""
    db.session.execute(
        delete(Invalidation).where(Invalidation.uid == uid, Invalidation.name == name, Invalidation.created_at <= limit)
    )
