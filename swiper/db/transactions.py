"""Runs services in one transaction, repeats them after a conflict, and runs what follows their commit."""

import functools
import logging
import random
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from swiper.extensions import db, open_transaction
from swiper.outages import is_redis_outage, is_silence

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

ATTEMPTS = 12
# After a lost connection or a duplicate key, either the next attempts succeed or none does.
FEW_ATTEMPTS = 3
# PostgreSQL: serialization failure, deadlock. MariaDB: deadlock, lock wait time-out, record has changed (11.6+).
RETRYABLE_STATES = {"40001", "40P01"}
RETRYABLE_NUMBERS = {1213, 1205, 1020}


class _Transaction:
    """The running transaction of a transactional service.

    Most services of hot requests use its connection alone. A session costs as much as two small statements, so it joins
    the transaction only when somebody uses it.
    """

    def __init__(self, doubts: list[DBAPIError]) -> None:
        # Of all runs of the service: commits that were sent, and of which nobody knows whether they succeeded.
        self.doubts = doubts
        self.consequences: list[Callable[[], object]] = []
        self.connection: Connection | None = None

    def open(self) -> Connection:
        """Return the connection. The transaction begins when it is asked for."""
        if self.connection is None:
            self.connection = db.engine.connect()
        if not self.connection.in_transaction():
            self.connection.begin()
        return self.connection

    def commit(self) -> None:
        """Write the objects of the session, and commit."""
        try:
            if db.has_session():
                db.session.commit()
            if self.connection is not None and self.connection.in_transaction():
                self.connection.commit()
        except DBAPIError as error:
            # After a conflict, which Galera finds at the commit, nothing is stored.
            if not is_conflict(error.orig):
                self.doubts.append(error)
            raise

    def roll_back(self) -> None:
        """Undo everything, also in the objects of the session."""
        if db.has_session():
            db.session.rollback()
        if self.connection is not None and self.connection.in_transaction():
            self.connection.rollback()

    def close(self) -> None:
        """Let others have the connection."""
        if self.connection is not None:
            self.connection.close()


_running: ContextVar[_Transaction | None] = ContextVar("transaction", default=None)


def transactional(service: Callable[P, R]) -> Callable[P, R]:
    """Run the decorated service in one transaction, commit once, then run what it gave to `after_commit`.

    The whole service runs again when the database reports a conflict with another transaction, so it must be safe to
    replay. A transactional service that is called by another one joins its transaction.
    """

    @functools.wraps(service)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if is_in_transaction():
            return service(*args, **kwargs)
        doubts: list[DBAPIError] = []
        return again_on_conflict(service.__name__, lambda: _attempt(service, args, kwargs, doubts))

    return run


def again_on_conflict(name: str, attempt: Callable[[], tuple[R, list[Callable[[], object]]]]) -> R:
    """Call `attempt`, which commits and returns a result and the consequences. Run these, and return the result.

    `attempt` is called again when the database reports a conflict with another transaction or the connection is lost.
    Raises the DBAPIError of the last attempt. `name` is for the log.
    """
    for number in range(1, ATTEMPTS + 1):
        try:
            result, consequences = attempt()
        except DBAPIError as error:
            if number >= _attempts_for(error):
                raise
            log.info("%s runs again after a conflict, attempt %d", name, number)
            time.sleep(random.uniform(0.002, 0.01) * 2 ** min(number, 6))
        else:
            _run_consequences(consequences)
            return result
    raise AssertionError("unreachable: the last attempt returns or raises")


def _attempt(
    service: Callable[..., R], args: Any, kwargs: Any, doubts: list[DBAPIError]
) -> tuple[R, list[Callable[[], object]]]:
    # An earlier read may hold an old snapshot. SQLite cannot turn such a transaction into a writing one.
    db.give_back_connection()
    transaction = _Transaction(doubts)
    token, opening = _running.set(transaction), open_transaction.set(transaction.open)
    try:
        result = service(*args, **kwargs)
        transaction.commit()
        return result, transaction.consequences
    except BaseException:
        transaction.roll_back()
        raise
    finally:
        open_transaction.reset(opening)
        _running.reset(token)
        transaction.close()


def _run_consequences(consequences: list[Callable[[], object]]) -> None:
    for consequence in consequences:
        try:
            consequence()
        except Exception as error:
            # The change is committed. Time-outs and beat tasks repair what this consequence has not done.
            is_outage = is_redis_outage(error)
            level = logging.WARNING if is_outage else logging.ERROR
            told = (
                "a consequence of a committed change waits: %s" if is_outage else "a consequence of a change failed: %s"
            )
            log.log(level, told, type(error).__name__, exc_info=not is_outage)


def is_in_transaction() -> bool:
    """Return True inside a transactional service."""
    return _running.get() is not None


def is_in_doubt() -> bool:
    """Return True in a transactional service if an earlier run of it may have committed, without a confirmation."""
    transaction = _running.get()
    return transaction is not None and bool(transaction.doubts)


def session_connection() -> Connection:
    """Return the connection of the running transaction, or else of the session's.

    Objects of the session are written to it before.
    """
    if db.has_session():
        db.session.flush()
    transaction = _running.get()
    return db.session.connection() if transaction is None else transaction.open()


def after_commit(consequence: Callable[[], object]) -> None:
    """Run `consequence` after the commit of the surrounding transactional service, and not at all if the service fails.

    Raises RuntimeError outside of a transactional service.
    """
    transaction = _running.get()
    if transaction is None:
        raise RuntimeError("after_commit belongs inside a transactional service")
    transaction.consequences.append(consequence)


def _attempts_for(error: DBAPIError) -> int:
    """Return how often a service that failed with `error` may run in all."""
    original: Any = error.orig
    if is_silence(original):
        # The caller has waited long enough.
        return 1
    # Two transactions may insert one key at the same moment. The second attempt finds the row.
    if isinstance(error, IntegrityError) or error.connection_invalidated:
        return FEW_ATTEMPTS
    return ATTEMPTS if is_conflict(original) else 1


def is_conflict(error: BaseException | None) -> bool:
    """Return True for a driver's error about a conflict with another transaction, which may not come again."""
    number = next(iter(getattr(error, "args", ())), None)
    return getattr(error, "sqlstate", None) in RETRYABLE_STATES or number in RETRYABLE_NUMBERS
