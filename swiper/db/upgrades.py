"""One upgrade of the schema at a time, none of which keeps others waiting behind it for a lock.

A statement that changes a table waits until every transaction that uses the table has ended, and whoever comes after it
waits behind it. So it gives up after a moment, lets the others go on, and is tried again later.
"""

import fcntl
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError

from swiper.db.sqlite import WRITES, is_busy
from swiper.db.transactions import is_conflict

log = logging.getLogger(__name__)

# Longer than most upgrades of a large database take.
WAIT_SECONDS = 600.0
POLL_SECONDS = 0.5
# How long others may have to wait behind a statement that waits itself. MariaDB counts whole seconds.
LOCK_MILLISECONDS = 500
LOCK_SECONDS = 1
TRIES = 10
LONGEST_PAUSE_SECONDS = 30.0
# PostgreSQL's state when `lock_timeout` is over.
LOCK_NOT_AVAILABLE = "55P03"

# The lock ends with its transaction, so it also holds behind pgbouncer. Nobody waits in a statement: building an index
# concurrently waits for the statements of all others, so the two would wait for each other. The number is no parameter
# for the same reason: a statement with one keeps its snapshot until the next one.
POSTGRES_LOCK = "SELECT pg_try_advisory_xact_lock({}), set_config('idle_in_transaction_session_timeout', '0', true)"
# MariaDB's locks have one name on the whole server, of at most 64 characters; a database's alone may have as many. The
# connection is idle while migrations run on another one.
MARIADB_LOCK = (
    text("SET SESSION wait_timeout = 604800"),
    text("SELECT GET_LOCK(SHA2(CONCAT(:name, ' ', DATABASE()), 256), 0)"),
)


class UpgradeError(RuntimeError):
    """An upgrade that gives up; Flask-Migrate tells it in one line."""


class _Lock(NamedTuple):
    """A lock of the database: its name, its number on PostgreSQL, and what its holder does."""

    name: str
    number: int
    work: str


SCHEMA = _Lock("upgrade", 6004511087411226994, "changes the schema of this database, or backs it up")
PREPARATION = _Lock("prepare", 6004511087411226995, "prepares this database")


@contextmanager
def upgrade_lock(engine: Engine, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock of those who change the schema or need it to stay. It ends with the process at the latest.

    Raises UpgradeError if another process still has it after `wait_seconds`.
    """
    with _held(engine, SCHEMA, wait_seconds):
        yield


@contextmanager
def preparation_lock(engine: Engine) -> Iterator[None]:
    """Hold the lock of those who upgrade and fill a database; upgrades alone have one of their own.

    Raises UpgradeError if another process still has it after WAIT_SECONDS.
    """
    with _held(engine, PREPARATION, WAIT_SECONDS):
        yield


@contextmanager
def _held(engine: Engine, lock: _Lock, wait_seconds: float) -> Iterator[None]:
    with _trying(engine, lock) as try_lock:
        deadline = time.monotonic() + wait_seconds
        if not try_lock():
            if wait_seconds:
                log.warning("another process %s; waiting for its end", lock.work)
            while not try_lock():
                if time.monotonic() > deadline:
                    raise UpgradeError(f"Another process still {lock.work}, after {wait_seconds:.0f} s.")
                time.sleep(POLL_SECONDS)
        yield


@contextmanager
def _trying(engine: Engine, lock: _Lock) -> Iterator[Callable[[], bool]]:
    """Give what tries to take the lock and returns True if it has it."""
    if _is_in_memory(engine):
        # No other process sees it.
        yield lambda: True
        return
    if engine.dialect.name == "sqlite":
        with _file_lock(f"{engine.url.database}-{lock.name}") as try_lock:
            yield try_lock
        return
    with engine.connect() as connection:
        # It leaves the pool, which may allow one connection, and is closed in the end.
        connection.detach()
        yield lambda: _ask_server(connection, lock)


def _ask_server(connection: Connection, lock: _Lock) -> bool:
    if connection.dialect.name == "mysql":
        setting, statement = MARIADB_LOCK
        connection.execute(setting)
        return bool(connection.scalar(statement, {"name": lock.name}) == 1)
    if connection.scalar(text(POSTGRES_LOCK.format(lock.number))):
        return True
    connection.rollback()
    return False


@contextmanager
def _file_lock(path: str) -> Iterator[Callable[[], bool]]:
    """Lock a file. It stays: others may wait for it already."""
    with Path(path).open("ab") as file:

        def try_lock() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        yield try_lock


def _is_in_memory(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite" and engine.url.database in (None, "", ":memory:")


@contextmanager
def upgrade_connection(engine: Engine) -> Iterator[Connection]:
    """Open a connection whose statements wait for locks only shortly. It is closed in the end, with its settings."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            event.listen(connection, "begin", _limit_transaction)
        elif engine.dialect.name == "mysql":
            names = ("lock_wait_timeout", "innodb_lock_wait_timeout")
            connection.execute(text("SET SESSION " + ", ".join(f"{name} = {LOCK_SECONDS}" for name in names)))
            connection.commit()
        try:
            yield connection.execution_options(**{WRITES: True})
        finally:
            if not (_is_in_memory(engine) or connection.invalidated):
                connection.invalidate()


def _limit_transaction(connection: Connection) -> None:
    """Limit the waits of one transaction: a setting of the session would reach others behind pgbouncer.

    What runs outside of a transaction, which is building an index concurrently, keeps nobody waiting.
    """
    driver = connection.connection.dbapi_connection
    assert driver is not None, "a transaction begins on an open connection"
    if not driver.autocommit:
        driver.execute(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")


def repeat_while_locked(run: Callable[[], None], pause_seconds: float = 1.0) -> None:
    """Call `run` until no lock stands in its way. What it has committed before, it must not do again.

    The pauses grow from `pause_seconds` on. Raises UpgradeError after TRIES, and at once where the database refuses.
    """
    for number in range(1, TRIES + 1):
        try:
            run()
        except DBAPIError as error:
            if not is_locked(error):
                raise UpgradeError(
                    f"A migration failed. What is done stays done; it can be run again. {error}"
                ) from error
            if number == TRIES:
                raise UpgradeError(
                    f"Other transactions kept a lock in each of {TRIES} tries. What is done stays done; run it again."
                ) from error
            pause = min(pause_seconds * 2 ** (number - 1), LONGEST_PAUSE_SECONDS)
            log.warning("another transaction has a lock; trying again in %.0f s (%d of %d)", pause, number, TRIES)
            time.sleep(pause)
        else:
            return


def is_locked(error: DBAPIError) -> bool:
    """Return True if a statement failed since another transaction has a lock, or both wait for each other."""
    return getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE or is_conflict(error.orig) or is_busy(error.orig)
